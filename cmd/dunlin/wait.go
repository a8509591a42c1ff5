package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

type waitCmd struct {
	Model   string        `arg:"" help:"Model, with or without a version: acme/vad, acme/vad@6.2.0."`
	Timeout time.Duration `help:"Give up after this time, such as 30s or 5m; 0 to wait for ever." default:"0"`
}

// Help is the second part of `dunlin wait --help`.
func (waitCmd) Help() string {
	return `Returns once the release is here, verified and, on a node that can run it, active.

Examples:
  dunlin wait acme/vad@6.2.0 --timeout 5m && systemctl restart detector

Exit codes: 0 it is here, 1 it failed for good, 2 not followed, 4 timed out or the node is not running.`
}

// Run waits.
func (c waitCmd) Run(e *env) error {
	m, version, err := splitModel(c.Model)
	if err != nil {
		return err
	}
	patience := lockPatience // of a node that is just coming up
	if c.Timeout > 0 {
		patience = min(patience, c.Timeout)
	}
	client, err := e.running(patience)
	if err != nil {
		return err
	}
	req := api.WaitRequest{Model: m, Version: version, Timeout: c.Timeout}
	var r api.Model
	bar := newBar(e.stderr)
	defer bar.finish()
	if err := client.Call(e, "wait", req, &r, bar.show); err != nil {
		return err
	}
	return e.print(r, func(w io.Writer) {
		state := "here and verified"
		if r.Serving {
			state = "active"
		}
		fmt.Fprintf(w, "%s@%s is %s\n", r.Model, r.Latest.Version, state)
	})
}

type pathCmd struct {
	Model string `arg:"" help:"Model, with or without a version: acme/vad, acme/vad@6.2.0."`
}

// Help is the second part of `dunlin path --help`.
func (pathCmd) Help() string {
	return `Without a version: the active release, or the newest that is here whole. The files are read-only; map them, do not
change them.

Examples:
  dunlin path acme/vad
  dunlin path acme/vad --json | jq -r '.files[].path'

Exit codes: 0 done, 2 wrong usage, 4 no whole release is here.`
}

// Run prints paths.
func (c pathCmd) Run(e *env) error {
	m, version, err := splitModel(c.Model)
	if err != nil {
		return err
	}
	var r api.PathResult
	if err := e.call("path", api.ModelRequest{Model: m, Version: version}, &r); err != nil {
		return err
	}
	return e.print(r, func(w io.Writer) {
		for _, f := range r.Files {
			fmt.Fprintln(w, f.Path)
		}
	})
}

// splitModel reads MODEL[@VERSION].
func splitModel(text string) (manifest.Model, string, error) {
	name, version, given := strings.Cut(text, "@")
	m, err := manifest.ParseModel(name)
	if err == nil && given {
		err = manifest.ValidateVersion(version)
	}
	if err != nil {
		return "", "", api.Errorf(api.CodeUsage, "%v", err)
	}
	return m, version, nil
}
