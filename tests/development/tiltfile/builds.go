package main

import (
	"fmt"
	"os"
	"regexp"

	"go.starlark.net/starlark"
)

func (s *session) localResource(c call) (starlark.Value, error) {
	it := &resource{}
	var words, serve command
	var files paths
	var mode word
	var needs list
	var ignore texts
	var start, parallel bool
	var bat, serveBat, links, env, serveEnv, probe, dir, serveDir starlark.Value
	mode.allowed = []string{"auto", "manual"}
	if err := c.unpack("name", &it.Name, "cmd?", &words, "deps?", &files, "trigger_mode?", &mode, "resource_deps?", &needs,
		"ignore?", &ignore, "auto_init?", &start, "serve_cmd?", &serve, "cmd_bat?", &bat, "serve_cmd_bat?", &serveBat,
		"allow_parallel?", &parallel, "links?", &links, "labels?", (*labels)(&it.Labels), "env?", &env, "serve_env?", &serveEnv,
		"readiness_probe?", &probe, "dir?", &dir, "serve_dir?", &serveDir); err != nil {
		return nil, err
	}
	if len(words) == 0 && len(serve) == 0 {
		return nil, fmt.Errorf("local_resource: neither cmd nor serve_cmd")
	}
	it.Command, it.Files, it.Needs, it.Manual = words, files, needs, mode.value == "manual"
	return nil, s.add(it)
}

// It has to be in the Containerfile: Docker only warns of one that is not.
var argumentForm = regexp.MustCompile(`(?m)^ARG (\w+)`)

func (s *session) dockerBuild(c call) (starlark.Value, error) {
	it := &image{Arguments: map[string]string{}}
	var dockerfile path
	var arguments textMap
	var match, pull bool
	var contents, cache, live, ignore, only, entrypoint, args, target, ssh, secret, network, tag, from, hosts starlark.Value
	var platform string
	if err := c.unpack("ref", &it.Name, "context", &it.Context, "build_args?", &arguments, "dockerfile?", &dockerfile,
		"dockerfile_contents?", &contents, "cache?", &cache, "live_update?", &live, "match_in_env_vars?", &match,
		"ignore?", &ignore, "only?", &only, "entrypoint?", &entrypoint, "container_args?", &args, "target?", &target,
		"ssh?", &ssh, "secret?", &secret, "network?", &network, "extra_tag?", &tag, "cache_from?", &from, "pull?", &pull,
		"platform?", &platform, "extra_hosts?", &hosts); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(string(dockerfile))
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, found := range argumentForm.FindAllSubmatch(text, -1) {
		known[string(found[1])] = true
	}
	for name := range arguments {
		if !known[name] {
			return nil, fmt.Errorf("docker_build: %s has no ARG %s", dockerfile, name)
		}
	}
	for _, other := range s.found.Images {
		if other.Name == it.Name {
			return nil, fmt.Errorf("docker_build: %s is built twice", it.Name)
		}
	}
	it.Dockerfile, it.Arguments = string(dockerfile), arguments
	s.found.Images = append(s.found.Images, it)
	return nil, nil
}

func (s *session) customDeploy(c call) (starlark.Value, error) {
	it := &resource{}
	var apply, remove command
	var files paths
	var images texts
	var selector, container string
	var live, dir, env, bat, deleteDir, deleteEnv, deleteBat starlark.Value
	if err := c.unpack("name", &it.Name, "apply_cmd", &apply, "delete_cmd", &remove, "deps", &files, "image_selector?", &selector,
		"live_update?", &live, "apply_dir?", &dir, "apply_env?", &env, "apply_cmd_bat?", &bat, "delete_dir?", &deleteDir,
		"delete_env?", &deleteEnv, "delete_cmd_bat?", &deleteBat, "container_selector?", &container, "image_deps?", &images); err != nil {
		return nil, err
	}
	it.Command, it.Delete, it.Files, it.Images = apply, remove, files, images
	return nil, s.add(it)
}

func (s *session) kind(c call) (starlark.Value, error) {
	if len(c.args) > 1 {
		return nil, fmt.Errorf("k8s_kind: image_json_path is to be named")
	}
	var kind, version string
	var paths texts
	var object starlark.Value
	ready := word{allowed: []string{"", "ignore", "wait"}}
	if err := c.unpack("kind", &kind, "image_json_path?", &paths, "api_version?", &version, "image_object?", &object,
		"pod_readiness?", &ready); err != nil {
		return nil, err
	}
	s.kinds[kind] = append(s.kinds[kind], paths...)
	return nil, nil
}

func (s *session) resource(c call) (starlark.Value, error) {
	it := &resource{}
	var rename string
	var ports forwards
	var needs, objects list
	var selectors, links starlark.Value
	var start bool
	mode := word{allowed: []string{"auto", "manual"}}
	ready := word{allowed: []string{"ignore", "wait"}}
	discovery := word{allowed: []string{"", "default", "selectors-only"}}
	if err := c.unpack("workload?", &it.Name, "new_name?", &rename, "port_forwards?", &ports, "extra_pod_selectors?", &selectors,
		"trigger_mode?", &mode, "resource_deps?", &needs, "objects?", &objects, "auto_init?", &start,
		"pod_readiness?", &ready, "links?", &links, "labels?", (*labels)(&it.Labels), "discovery_strategy?", &discovery); err != nil {
		return nil, err
	}
	if rename != "" || len(objects) > 0 {
		return nil, fmt.Errorf("k8s_resource: new_name and objects are not known here")
	}
	it.Needs, it.PortForwards, it.Manual = needs, ports, mode.value == "manual"
	it.PodReadiness, it.Discovery = ready.value, discovery.value
	s.options = append(s.options, it)
	return nil, nil
}

func forward(c call) (starlark.Value, error) {
	it := &portForward{}
	err := c.unpack("local_port", &it.LocalPort, "container_port?", &it.ContainerPort, "name?", &it.Name, "link_path?", &it.Path,
		"host?", &it.Host)
	return &opaque{"port_forward", it}, err
}

func textInput(c call) (starlark.Value, error) {
	var name, label, preset, hint string
	err := c.unpack("name", &name, "label?", &label, "default?", &preset, "placeholder?", &hint)
	return &opaque{"input", name}, err
}

func (s *session) button(c call) (starlark.Value, error) {
	it := &button{}
	var words list
	var text, location, svg, inputs, env, dir starlark.Value
	var disabled bool
	if err := c.unpack("name", &it.Name, "resource?", &it.resource, "argv?", &words, "text?", &text, "location?", &location,
		"icon_name?", &it.Icon, "icon_svg?", &svg, "inputs?", &inputs, "disabled?", &disabled,
		"requires_confirmation?", &it.Confirmed, "env?", &env, "dir?", &dir); err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("cmd_button: argv cannot be empty")
	}
	it.Command = words
	it.Text, _ = starlark.AsString(text)
	if several, ok := inputs.(starlark.Iterable); ok {
		for item := range starlark.Elements(several) {
			input, ok := item.(*opaque)
			if !ok || input.kind != "input" {
				return nil, fmt.Errorf("cmd_button: inputs: got %s, want text_input()", item.Type())
			}
			it.Inputs = append(it.Inputs, input.value.(string))
		}
	}
	s.buttons = append(s.buttons, it)
	return nil, nil
}
