// Reads a kind configuration as `kind create cluster` does: its loader, its validation, and what it would have Docker start.
// Prints that, a node a line, and its patches of containerd's configuration; ends with 1 and what is wrong when it is not right. Docker is played by this program.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml"
	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
)

// Names the file into which the one that plays Docker writes what it was told to run.
const record = "STOREFRONT_DOCKER_RECORD"

func main() {
	run := create
	if filepath.Base(os.Args[0]) == "docker" {
		run = docker
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func create(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("usage: kind FILE")
	}
	folder, err := os.MkdirTemp("", "kind-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Symlink(self, filepath.Join(folder, "docker")); err != nil {
		return err
	}
	started := filepath.Join(folder, "started")
	os.Setenv("PATH", folder)
	os.Setenv(record, started)
	provider := cluster.NewProvider(cluster.ProviderWithDocker())
	wrong := provider.Create("", cluster.CreateWithConfigFile(arguments[0]))
	// Docker refuses to start anything; what fails before that is the file's fault.
	nodes, err := os.ReadFile(started)
	if err != nil {
		return wrong
	}
	fmt.Print(string(nodes))
	return patches(arguments[0])
}

// Kind reads patches once a node is there, and containerd skips what it does not know.
func patches(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var config v1alpha4.Cluster
	if err := yaml.Unmarshal(text, &config); err != nil {
		return err
	}
	for _, patch := range config.ContainerdConfigPatches {
		tree, err := toml.Load(patch)
		if err != nil {
			return fmt.Errorf("containerdConfigPatches: %w", err)
		}
		values, err := json.Marshal(tree.ToMap())
		if err != nil {
			return err
		}
		fmt.Printf("containerd %s\n", values)
	}
	return nil
}

func docker(arguments []string) error {
	switch arguments[0] {
	case "info":
		fmt.Println(`{"CgroupVersion": "2", "CgroupDriver": "systemd", "MemoryLimit": true, "PidsLimit": true, "CPUShares": true}`)
	case "run":
		file, err := os.OpenFile(os.Getenv(record), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		fmt.Fprintln(file, node(arguments[1:]))
		return fmt.Errorf("nothing is started here")
	}
	return nil
}

// What of a container is the file's: its name, ports but the API server's, which is a random one, folders of this machine, image.
func node(arguments []string) string {
	words := []string{}
	for at, word := range arguments {
		switch {
		case at > 0 && arguments[at-1] == "--name", at == len(arguments)-1:
			words = append(words, word)
		case strings.HasPrefix(word, "--publish=") && !strings.HasSuffix(word, ":6443/TCP"):
			words = append(words, word)
		case strings.HasPrefix(word, "--volume="):
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
