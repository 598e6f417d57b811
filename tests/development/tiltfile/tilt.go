package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"go.starlark.net/lib/json"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"sigs.k8s.io/yaml"
)

// One reading of a Tiltfile.
type session struct {
	helm     string
	settings map[string]any
	defined  map[string]bool
	found    found
	objects  []object
	options  []*resource
	buttons  []*button
	// Where images stand in objects of a kind.
	kinds map[string][]string
}

// The arguments of a call.
type call struct {
	name   string
	args   starlark.Tuple
	kwargs []starlark.Tuple
}

// As Tilt reads them: names in the order of Tilt's own, with "?" where they may be left out.
func (c call) unpack(pairs ...any) error {
	return starlark.UnpackArgs(c.name, c.args, c.kwargs, pairs...)
}

type function func(call) (starlark.Value, error)

func builtin(name string, f function) starlark.Value {
	return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		value, err := f(call{b.Name(), args, kwargs})
		if value == nil {
			value = starlark.None
		}
		return value, err
	})
}

func module(name string, functions map[string]function, values starlark.StringDict) starlark.Value {
	members := starlark.StringDict{}
	for member, value := range values {
		members[member] = value
	}
	for member, f := range functions {
		members[member] = builtin(name+"."+member, f)
	}
	return &starlarkstruct.Module{Name: name, Members: members}
}

// Everything that a Tiltfile here may use; a name of Tilt's that is not among them has to be taught first.
func (s *session) names() starlark.StringDict {
	names := starlark.StringDict{
		"TRIGGER_MODE_AUTO":   starlark.String("auto"),
		"TRIGGER_MODE_MANUAL": starlark.String("manual"),
		"os": module("os", map[string]function{"getenv": getenv}, starlark.StringDict{
			"path": module("os.path", map[string]function{"abspath": absolute, "join": join}, nil),
		}),
		"config": module("config", map[string]function{
			"define_string":      s.define,
			"define_string_list": s.define,
			"parse":              s.parse,
		}, nil),
	}
	for name, f := range map[string]function{
		"allow_k8s_contexts": s.allowContexts,
		"ci_settings":        s.ciSettings,
		"default_registry":   s.defaultRegistry,
		"docker_build":       s.dockerBuild,
		"encode_yaml":        encodeYAML,
		"fail":               fail,
		"helm":               s.chart,
		"k8s_custom_deploy":  s.customDeploy,
		"k8s_kind":           s.kind,
		"k8s_namespace":      namespace,
		"k8s_resource":       s.resource,
		"k8s_yaml":           s.yaml,
		"local":              local,
		"local_resource":     s.localResource,
		"port_forward":       forward,
		"read_yaml":          readYAML,
		"update_settings":    s.updateSettings,
		"version_settings":   s.versionSettings,
	} {
		names[name] = builtin(name, f)
	}
	return names
}

// Of Tilt's extensions the one with buttons is played, too.
func (s *session) load(_ *starlark.Thread, name string) (starlark.StringDict, error) {
	if name != "ext://uibutton" {
		return nil, fmt.Errorf("extension %s is not known here", name)
	}
	return starlark.StringDict{
		"cmd_button": builtin("cmd_button", s.button),
		"text_input": builtin("text_input", textInput),
	}, nil
}

func fail(c call) (starlark.Value, error) {
	var message string
	if err := c.unpack("msg", &message); err != nil {
		return nil, err
	}
	return nil, errors.New(message)
}

func getenv(c call) (starlark.Value, error) {
	var key string
	var otherwise starlark.Value = starlark.None
	if err := c.unpack("key", &key, "default?", &otherwise); err != nil {
		return nil, err
	}
	if value, ok := os.LookupEnv(key); ok {
		return starlark.String(value), nil
	}
	return otherwise, nil
}

// What is printed must not depend on the machine: paths below the working folder stay relative to it.
func absolute(c call) (starlark.Value, error) {
	var path string
	err := c.unpack("path", &path)
	return starlark.String(filepath.Clean(path)), err
}

func join(c call) (starlark.Value, error) {
	parts := []string{}
	for _, part := range c.args {
		text, ok := starlark.AsString(part)
		if !ok {
			return nil, fmt.Errorf("os.path.join: got %s, want a string", part.Type())
		}
		parts = append(parts, text)
	}
	return starlark.String(filepath.Join(parts...)), nil
}

func (s *session) define(c call) (starlark.Value, error) {
	var name, usage string
	var args bool
	if err := c.unpack("name", &name, "args?", &args, "usage?", &usage); err != nil {
		return nil, err
	}
	s.defined[name] = true
	return nil, nil
}

func (s *session) parse(c call) (starlark.Value, error) {
	if err := c.unpack(); err != nil {
		return nil, err
	}
	for name := range s.settings {
		if !s.defined[name] {
			return nil, fmt.Errorf("unknown flag: --%s", name)
		}
	}
	text, err := yaml.Marshal(s.settings)
	if err != nil {
		return nil, err
	}
	return decode(text)
}

func (s *session) allowContexts(c call) (starlark.Value, error) {
	var contexts texts
	err := c.unpack("contexts", &contexts)
	s.found.AllowedContexts = append(s.found.AllowedContexts, contexts...)
	return nil, err
}

func (s *session) defaultRegistry(c call) (starlark.Value, error) {
	var fromCluster, single string
	return nil, c.unpack("host", &s.found.Registry, "host_from_cluster?", &fromCluster, "single_name?", &single)
}

func (s *session) versionSettings(c call) (starlark.Value, error) {
	var check bool
	var constraint string
	return nil, c.unpack("check_updates?", &check, "constraint?", &constraint)
}

func (s *session) ciSettings(c call) (starlark.Value, error) {
	var grace, timeout, readiness string
	return nil, c.unpack("k8s_grace_period?", &grace, "timeout?", &timeout, "readiness_timeout?", &readiness)
}

func (s *session) updateSettings(c call) (starlark.Value, error) {
	var parallel, upsert int
	var quiet texts
	var apply string
	return nil, c.unpack("max_parallel_updates?", &parallel, "k8s_upsert_timeout_secs?", &upsert,
		"suppress_unused_image_warnings?", &quiet, "k8s_server_side_apply?", &apply)
}

func namespace(c call) (starlark.Value, error) {
	return starlark.String("default"), c.unpack()
}

// Commands that are run while a Tiltfile is read cost every reader time: those that are known here are few and quick.
func local(c call) (starlark.Value, error) {
	var words command
	var bat starlark.Value
	var quiet, silent bool
	var env textMap
	var dir path
	var stdin starlark.Value
	if err := c.unpack("command", &words, "quiet?", &quiet, "command_bat?", &bat, "echo_off?", &silent,
		"env?", &env, "dir?", &dir, "stdin?", &stdin); err != nil {
		return nil, err
	}
	switch words[0] {
	case "uname":
		return blob("Linux\n"), nil
	case "mkdir":
		return blob(""), nil
	}
	return nil, fmt.Errorf("local: %q is not known here", strings.Join(words, " "))
}

func decode(text []byte) (starlark.Value, error) {
	text, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	f := json.Module.Members["decode"]
	return starlark.Call(&starlark.Thread{}, f, starlark.Tuple{starlark.String(text)}, nil)
}

func readYAML(c call) (starlark.Value, error) {
	var file path
	var otherwise starlark.Value
	if err := c.unpack("paths", &file, "default?", &otherwise); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(string(file))
	if err != nil {
		return nil, err
	}
	return decode(text)
}

// JSON is YAML.
func encodeYAML(c call) (starlark.Value, error) {
	var value starlark.Value
	if err := c.unpack("obj", &value); err != nil {
		return nil, err
	}
	text, err := starlark.Call(&starlark.Thread{}, json.Module.Members["encode"], starlark.Tuple{value}, nil)
	if err != nil {
		return nil, err
	}
	return blob(text.(starlark.String)), nil
}

// Real Helm renders the chart. Tests of a chart are no part of what Tilt installs.
func (s *session) chart(c call) (starlark.Value, error) {
	var chart path
	var name, namespace, version string
	var files paths
	var set texts
	var skip bool
	if err := c.unpack("paths", &chart, "name?", &name, "namespace?", &namespace, "values?", &files, "set?", &set,
		"kube_version?", &version, "skip_crds?", &skip); err != nil {
		return nil, err
	}
	words := []string{"template", name, string(chart), "--include-crds", "--skip-tests", "--namespace", namespace}
	for _, file := range files {
		words = append(words, "--values", file)
	}
	for _, value := range set {
		words = append(words, "--set", value)
	}
	process := exec.Command(s.helm, words...)
	said := strings.Builder{}
	process.Stderr = &said
	text, err := process.Output()
	if err != nil {
		return nil, fmt.Errorf("helm: %w: %s", err, said.String())
	}
	return blob(text), nil
}

func sorted(texts []string) []string {
	sort.Strings(texts)
	return texts
}
