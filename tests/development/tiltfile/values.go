package main

import (
	"fmt"
	"os"
	"regexp"

	"go.starlark.net/starlark"
)

// Tilt tells text that is content from text that is a path: what a command or an encoder returns is the former.
type blob string

func (b blob) String() string        { return string(b) }
func (b blob) Type() string          { return "blob" }
func (b blob) Freeze()               {}
func (b blob) Truth() starlark.Bool  { return b != "" }
func (b blob) Hash() (uint32, error) { return starlark.String(b).Hash() }

// A port forward or a button's input, which only the functions of Tilt look into.
type opaque struct {
	kind  string
	value any
}

func (o *opaque) String() string        { return o.kind }
func (o *opaque) Type() string          { return o.kind }
func (o *opaque) Freeze()               {}
func (o *opaque) Truth() starlark.Bool  { return true }
func (o *opaque) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", o.kind) }

// A string, or several: Tilt takes both in most places.
type texts []string

func (t *texts) Unpack(value starlark.Value) error {
	*t = nil
	switch value := value.(type) {
	case starlark.String:
		*t = texts{string(value)}
		return nil
	case starlark.NoneType:
		return nil
	case starlark.Iterable:
		for item := range starlark.Elements(value) {
			text, ok := starlark.AsString(item)
			if !ok {
				return fmt.Errorf("got %s, want a string", item.Type())
			}
			*t = append(*t, text)
		}
		return nil
	}
	return fmt.Errorf("got %s, want a string or a list of strings", value.Type())
}

// Strings in a list; a single one is a mistake.
type list []string

func (l *list) Unpack(value starlark.Value) error {
	if _, single := value.(starlark.String); single {
		return fmt.Errorf("got string, want a list of strings")
	}
	return (*texts)(l).Unpack(value)
}

// Files and folders, which exist.
type paths []string

func (p *paths) Unpack(value starlark.Value) error {
	if err := (*texts)(p).Unpack(value); err != nil {
		return err
	}
	for _, path := range *p {
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	return nil
}

type path string

func (p *path) Unpack(value starlark.Value) error {
	text, ok := starlark.AsString(value)
	if !ok {
		return fmt.Errorf("got %s, want a path", value.Type())
	}
	*p = path(text)
	_, err := os.Stat(text)
	return err
}

// A command: a string is one of the shell.
type command []string

func (c *command) Unpack(value starlark.Value) error {
	var words texts
	if err := words.Unpack(value); err != nil {
		return err
	}
	if len(words) == 0 {
		return fmt.Errorf("the command is empty")
	}
	if _, single := value.(starlark.String); single {
		words = append(texts{"sh", "-c"}, words...)
	}
	*c = command(words)
	return nil
}

// Text of names and values.
type textMap map[string]string

func (m *textMap) Unpack(value starlark.Value) error {
	dict, ok := value.(*starlark.Dict)
	if !ok {
		return fmt.Errorf("got %s, want a dict", value.Type())
	}
	*m = textMap{}
	for key, item := range starlark.Entries(dict) {
		name, isName := starlark.AsString(key)
		text, isText := starlark.AsString(item)
		if !isName || !isText {
			return fmt.Errorf("%s: %s: both have to be strings", key, item)
		}
		(*m)[name] = text
	}
	return nil
}

var labelForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)

// Groups of the page's list.
type labels []string

func (l *labels) Unpack(value starlark.Value) error {
	if err := (*texts)(l).Unpack(value); err != nil {
		return err
	}
	for _, label := range *l {
		if !labelForm.MatchString(label) {
			return fmt.Errorf("invalid label %q", label)
		}
	}
	return nil
}

// One of several words.
type word struct {
	value   string
	allowed []string
}

func (w *word) Unpack(value starlark.Value) error {
	text, _ := starlark.AsString(value)
	for _, allowed := range w.allowed {
		if text == allowed {
			w.value = text
			return nil
		}
	}
	return fmt.Errorf("got %s, want one of %q", value, w.allowed)
}

// Port forwards, one or several: a number, HOST:LOCAL:CONTAINER and the like, or port_forward().
type forwards []*portForward

func (f *forwards) Unpack(value starlark.Value) error {
	items := []starlark.Value{value}
	if several, ok := value.(starlark.Iterable); ok {
		items = nil
		for item := range starlark.Elements(several) {
			items = append(items, item)
		}
	}
	for _, item := range items {
		one, ok := item.(*opaque)
		if !ok || one.kind != "port_forward" {
			return fmt.Errorf("got %s, want port_forward(): others are hard to read", item.Type())
		}
		*f = append(*f, one.value.(*portForward))
	}
	return nil
}
