package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"sigs.k8s.io/yaml"
)

// An object of Kubernetes.
type object map[string]any

func (o object) kind() string {
	kind, _ := o["kind"].(string)
	return kind
}

func (o object) metadata(name string) string {
	metadata, _ := o["metadata"].(map[string]any)
	text, _ := metadata[name].(string)
	return text
}

// Texts at a path such as {.spec.services.*.image}.
func (o object) at(path string) ([]string, error) {
	inner, ok := strings.CutPrefix(path, "{.")
	inner, closed := strings.CutSuffix(inner, "}")
	if !ok || !closed {
		return nil, fmt.Errorf("%q is no path such as {.spec.image}", path)
	}
	values := []any{map[string]any(o)}
	for _, field := range strings.Split(inner, ".") {
		next := []any{}
		for _, value := range values {
			fields, _ := value.(map[string]any)
			for name, value := range fields {
				if field == "*" || field == name {
					next = append(next, value)
				}
			}
		}
		values = next
	}
	found := []string{}
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("%s of a %s is no text", path, o.kind())
		}
		found = append(found, text)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("nothing is at %s of a %s", path, o.kind())
	}
	return sorted(found), nil
}

// Of a Deployment and the like.
type container struct {
	Image string   `json:"image"`
	Args  []string `json:"args"`
}

func (o object) containers() ([]container, error) {
	text, err := yaml.Marshal(o)
	if err != nil {
		return nil, err
	}
	var read struct {
		Spec struct {
			Template struct {
				Spec struct {
					InitContainers []container `json:"initContainers"`
					Containers     []container `json:"containers"`
				} `json:"spec"`
			} `json:"template"`
		} `json:"spec"`
	}
	err = yaml.Unmarshal(text, &read)
	pod := read.Spec.Template.Spec
	return append(pod.Containers, pod.InitContainers...), err
}

func (s *session) yaml(c call) (starlark.Value, error) {
	var value starlark.Value
	var duplicates bool
	if err := c.unpack("yaml", &value, "allow_duplicates?", &duplicates); err != nil {
		return nil, err
	}
	documents := [][]byte{}
	if content, ok := value.(blob); ok {
		documents = append(documents, []byte(content))
	} else {
		var files paths
		if err := files.Unpack(value); err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			documents = append(documents, text)
		}
	}
	for _, text := range documents {
		if err := s.addObjects(text); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (s *session) addObjects(text []byte) error {
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		read := object{}
		if err := yaml.UnmarshalStrict(document, &read); err != nil {
			return err
		}
		if len(read) == 0 {
			continue
		}
		same := func(other object) bool {
			return other.kind() == read.kind() && other.metadata("name") == read.metadata("name") &&
				other.metadata("namespace") == read.metadata("namespace")
		}
		if read.kind() == "" || read.metadata("name") == "" || slices.ContainsFunc(s.objects, same) {
			return fmt.Errorf("k8s_yaml: an object without kind or name, or one that is there already: %s %s",
				read.kind(), read.metadata("name"))
		}
		s.objects = append(s.objects, read)
	}
	return nil
}

func (s *session) add(it *resource) error {
	if s.byName(it.Name) != nil {
		return fmt.Errorf("there are two resources %s", it.Name)
	}
	s.found.Resources = append(s.found.Resources, it)
	return nil
}

func (s *session) byName(name string) *resource {
	for _, it := range s.found.Resources {
		if it.Name == name {
			return it
		}
	}
	return nil
}

// Puts together what belongs together, as Tilt does once the Tiltfile has been read. Where Tilt only warns, it is an error here.
func (s *session) assemble() (*found, error) {
	for _, object := range s.objects {
		if err := s.place(object); err != nil {
			return nil, err
		}
	}
	for _, options := range s.options {
		it := s.byName(options.Name)
		if it == nil {
			return nil, fmt.Errorf("k8s_resource: there is no resource %s", options.Name)
		}
		it.Needs = append(it.Needs, options.Needs...)
		it.PortForwards, it.Labels, it.Manual = options.PortForwards, options.Labels, options.Manual
		it.PodReadiness, it.Discovery = options.PodReadiness, options.Discovery
	}
	for _, button := range s.buttons {
		it := s.byName(button.resource)
		if it == nil {
			return nil, fmt.Errorf("cmd_button: there is no resource %s", button.resource)
		}
		it.Buttons = append(it.Buttons, button)
	}
	return &s.found, s.check()
}

func (s *session) place(o object) error {
	containers, err := o.containers()
	if err != nil {
		return err
	}
	images, arguments := []string{}, []string{}
	for at, container := range containers {
		images = append(images, container.Image)
		if at == 0 {
			arguments = container.Args
		}
	}
	paths, workload := s.kinds[o.kind()]
	for _, path := range paths {
		found, err := o.at(path)
		if err != nil {
			return err
		}
		images = append(images, found...)
	}
	name := strings.ToLower(o.kind()) + "/" + o.metadata("name")
	if namespace := o.metadata("namespace"); namespace != "" {
		name = namespace + ":" + name
	}
	if !workload && len(images) == 0 {
		s.found.First = append(s.found.First, name)
		return nil
	}
	return s.add(&resource{Name: o.metadata("name"), Objects: []string{name}, Images: images, Arguments: arguments})
}

func (s *session) check() error {
	used := map[string]bool{}
	ports := map[int]string{}
	for _, it := range s.found.Resources {
		for at, name := range it.Images {
			// The tag is Tilt's to choose.
			if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
				name = name[:colon]
			}
			it.Images[at] = name
			used[name] = true
			if !slices.ContainsFunc(s.found.Images, func(built *image) bool { return built.Name == name }) {
				return fmt.Errorf("%s runs %s, which nothing builds", it.Name, name)
			}
		}
		for _, need := range it.Needs {
			if s.byName(need) == nil {
				return fmt.Errorf("%s needs %s, which is no resource", it.Name, need)
			}
		}
		for _, forward := range it.PortForwards {
			if other := ports[forward.LocalPort]; other != "" {
				return fmt.Errorf("%s and %s both want port %d", other, it.Name, forward.LocalPort)
			}
			ports[forward.LocalPort] = it.Name
		}
	}
	for _, built := range s.found.Images {
		if !used[built.Name] {
			return fmt.Errorf("%s is built, and nothing runs it", built.Name)
		}
	}
	return nil
}
