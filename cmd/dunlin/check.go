package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
)

type verifyCmd struct {
	Model string `arg:"" optional:"" help:"Model, with or without a version; all models if not given."`
}

// Help is the second part of `dunlin verify --help`.
func (verifyCmd) Help() string {
	return `Reads whole files and compares them with their manifests. Chunks that turn out rotten are fetched again by a
running node.

Examples:
  dunlin verify
  dunlin verify acme/vad@6.2.0

Exit codes: 0 all is well, 2 wrong usage, 3 something is not what it was, 4 nothing of it is here.`
}

// Run verifies.
func (c verifyCmd) Run(e *env) error {
	var m manifest.Model
	var version string
	if c.Model != "" {
		var err error
		if m, version, err = splitModel(c.Model); err != nil {
			return err
		}
	}
	var r api.VerifyResult
	if err := e.callLong("verify", api.ModelRequest{Model: m, Version: version}, &r); err != nil {
		return err
	}
	if err := e.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "%d releases, %s compared\n", len(r.Checked), size(r.Bytes))
		for _, bad := range r.Bad {
			fmt.Fprintln(w, bad)
		}
	}); err != nil {
		return err
	}
	if len(r.Bad) > 0 {
		return api.Errorf(api.CodeUnverified, "%d variants are not what they were", len(r.Bad))
	}
	return nil
}

type fsckCmd struct {
	Rebuild bool `help:"Throw the index away and make it again from the files; the node must not run."`
}

// Help is the second part of `dunlin fsck --help`.
func (fsckCmd) Help() string {
	return `Reads every chunk and every block. What is rotten is marked missing, never served, and fetched again by a running
node.

Examples:
  dunlin fsck
  dunlin fsck --rebuild

Exit codes: 0 clean, 1 failed, 3 something was wrong (see the report), 4 --rebuild while the node runs.`
}

// Run checks the store.
func (c fsckCmd) Run(e *env) error {
	var r api.FsckResult
	var err error
	if c.Rebuild {
		r, err = c.rebuild(e)
	} else {
		err = e.callLong("fsck", struct{}{}, &r)
	}
	if err != nil {
		return err
	}
	if err := e.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "%d releases, %d chunks, %s checked\n", r.Releases, r.Chunks, size(r.Bytes))
		for _, p := range r.Problems {
			fmt.Fprintln(w, p)
		}
		if r.Clean {
			fmt.Fprintln(w, "clean")
		}
	}); err != nil {
		return err
	}
	if !r.Clean {
		return api.Errorf(api.CodeUnverified, "the store was not clean")
	}
	return nil
}

func (c fsckCmd) rebuild(e *env) (api.FsckResult, error) {
	if _, ok := api.Dial(e, e.dir); ok {
		return api.FsckResult{}, api.Errorf(api.CodeUnreachable, "the node is running: stop it before `dunlin fsck --rebuild`")
	}
	bar := newBar(e.stderr)
	defer bar.finish()
	var done int64
	report, err := node.Rebuild(e, e.dir, e.logger(), func(bytes int64) {
		done += bytes
		bar.show(api.Progress{What: "rebuilding", Done: done})
	})
	if errors.Is(err, store.ErrLocked) {
		return api.FsckResult{}, api.Errorf(api.CodeUnreachable, "%v", err)
	}
	return node.FsckResult(report), err
}

type gcCmd struct{}

// Help is the second part of `dunlin gc --help`.
func (gcCmd) Help() string {
	return `Removes releases that are neither pinned nor wanted, and blocks that nothing refers to. The active release, the one
before it, and everything followed, carried or published stays.

Example:
  dunlin gc

Exit codes: 0 done, 1 failed.`
}

// Run collects garbage.
func (gcCmd) Run(e *env) error {
	var r api.GCResult
	if err := e.callLong("gc", struct{}{}, &r); err != nil {
		return err
	}
	return e.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "%d releases, %d blocks and %d orphans removed, %s freed\n", r.Releases, r.Blocks, r.Orphans, size(r.Bytes))
	})
}
