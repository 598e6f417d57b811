package main

// What a Tiltfile asks for.

type found struct {
	AllowedContexts []string    `json:"allowedContexts,omitempty"`
	Registry        string      `json:"registry,omitempty"`
	Images          []*image    `json:"images"`
	Resources       []*resource `json:"resources"`
	// Objects that are in no resource: Tilt applies them before all others.
	First []string `json:"first"`
}

type image struct {
	Name       string            `json:"name"`
	Context    string            `json:"context"`
	Dockerfile string            `json:"dockerfile"`
	Arguments  map[string]string `json:"arguments"`
}

type resource struct {
	Name string `json:"name"`
	// What runs on this machine, or applies and deletes what the resource stands for.
	Command []string `json:"command,omitempty"`
	Delete  []string `json:"delete,omitempty"`
	// What is watched.
	Files   []string `json:"files,omitempty"`
	Objects []string `json:"objects,omitempty"`
	Images  []string `json:"images,omitempty"`
	// What the first container's program is told.
	Arguments    []string       `json:"arguments,omitempty"`
	Needs        []string       `json:"needs,omitempty"`
	PortForwards []*portForward `json:"portForwards,omitempty"`
	Buttons      []*button      `json:"buttons,omitempty"`
	Labels       []string       `json:"labels,omitempty"`
	PodReadiness string         `json:"podReadiness,omitempty"`
	Discovery    string         `json:"discovery,omitempty"`
	Manual       bool           `json:"manual,omitempty"`
}

type portForward struct {
	Name          string `json:"name,omitempty"`
	Host          string `json:"host,omitempty"`
	LocalPort     int    `json:"localPort"`
	ContainerPort int    `json:"containerPort,omitempty"`
	Path          string `json:"path,omitempty"`
}

type button struct {
	Name      string   `json:"name"`
	Text      string   `json:"text"`
	Command   []string `json:"command"`
	Icon      string   `json:"icon,omitempty"`
	Inputs    []string `json:"inputs,omitempty"`
	Confirmed bool     `json:"confirmed,omitempty"`
	resource  string
}
