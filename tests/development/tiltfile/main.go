// Runs the Tiltfile as Tilt does, in the same interpreter, with Tilt's functions played: they take what Tilt's take (names, types,
// which are required) and do nothing but note what was asked for. Prints that as JSON; ends with 1 and what is wrong, with its place.
//
//	tiltfile TILTFILE HELM [SETTINGS]
//
// Paths are those of the working folder, which stands for the Tiltfile's own. SETTINGS, a JSON object, are what would stand behind
// `tilt up --`.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		var where *starlark.EvalError
		if errors.As(err, &where) {
			fmt.Fprintln(os.Stderr, where.Backtrace())
		} else {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 || len(arguments) > 3 {
		return errors.New("usage: tiltfile TILTFILE HELM [SETTINGS]")
	}
	s := &session{helm: arguments[1], settings: map[string]any{}, kinds: map[string][]string{}, defined: map[string]bool{}}
	if len(arguments) == 3 {
		if err := json.Unmarshal([]byte(arguments[2]), &s.settings); err != nil {
			return fmt.Errorf("SETTINGS: %w", err)
		}
	}
	thread := &starlark.Thread{Name: "Tiltfile", Load: s.load}
	// The dialect that Tilt chooses.
	dialect := &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, GlobalReassign: true, Recursion: true}
	if _, err := starlark.ExecFileOptions(dialect, thread, arguments[0], nil, s.names()); err != nil {
		return err
	}
	found, err := s.assemble()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	return nil
}
