package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// tool is a general program that makes deltas.
type tool struct {
	name   string
	needs  []string // programs
	refuse bool     // an empty old file
	encode func(old, updated, delta string) []string
	decode func(old, delta, out string) []string
}

// patchTools are those that the corpus's figures are of, with their settings.
var patchTools = []tool{
	{
		name: "zstd-patch", needs: []string{"zstd"},
		encode: func(old, updated, delta string) []string {
			return []string{"zstd", "-q", "-f", "-19", "--long=31", "--patch-from=" + old, updated, "-o", delta}
		},
		decode: func(old, delta, out string) []string {
			return []string{"zstd", "-q", "-f", "-d", "--long=31", "--patch-from=" + old, delta, "-o", out}
		},
	},
	{
		name: "xdelta3", needs: []string{"xdelta3"},
		encode: func(old, updated, delta string) []string {
			return []string{"xdelta3", "-q", "-f", "-e", "-9", "-S", "djw", "-s", old, updated, delta}
		},
		decode: func(old, delta, out string) []string {
			return []string{"xdelta3", "-q", "-f", "-d", "-s", old, delta, out}
		},
	},
	{
		name: "bsdiff", needs: []string{"bsdiff", "bspatch"}, refuse: true,
		encode: func(old, updated, delta string) []string { return []string{"bsdiff", old, updated, delta} },
		decode: func(old, delta, out string) []string { return []string{"bspatch", old, out, delta} },
	},
}

// plainTool compresses the new file alone: what unrelated files are compared
// with.
var plainTool = tool{
	name: "zstd", needs: []string{"zstd"},
	encode: func(_, updated, delta string) []string {
		return []string{"zstd", "-q", "-f", "-19", "--long=31", updated, "-o", delta}
	},
	decode: func(_, delta, out string) []string {
		return []string{"zstd", "-q", "-f", "-d", "--long=31", delta, "-o", out}
	},
}

// availableTools returns the tools whose programs are there, and says loudly
// which are not.
func availableTools(skip bool, stderr io.Writer) []tool {
	if skip {
		fmt.Fprintln(stderr, "bench: the general tools are not run: figures marked * are the corpus's")
		return nil
	}
	var there []tool
	var missing []string
	for _, t := range append([]tool{plainTool}, patchTools...) {
		ok := true
		for _, program := range t.needs {
			if _, err := exec.LookPath(program); err != nil {
				ok = false
				missing = append(missing, program)
			}
		}
		if ok {
			there = append(there, t)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(stderr, "\nbench: MISSING: %s. Without them this is no full comparison: figures marked * are the corpus's.\n"+
			"bench: install them with `apt-get update && apt-get install -y zstd xdelta3 bsdiff` as root.\n\n", strings.Join(missing, ", "))
	}
	return there
}

// toolResult is what a tool made of a case.
type toolResult struct {
	bytes int64
	err   error
}

// runTools runs the tools side by side, in dir, and checks that their deltas
// decode. The result is by the tools' names.
func (b *bench) runTools(ctx context.Context, f files, tools []tool, dir string) map[string]toolResult {
	results := make([]toolResult, len(tools))
	var wg sync.WaitGroup
	turn := make(chan struct{}, max(1, b.parallel()))
	for i, t := range tools {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			n, err := b.runTool(ctx, f, t, dir)
			results[i] = toolResult{bytes: n, err: err}
		})
	}
	wg.Wait()
	out := make(map[string]toolResult)
	for i, t := range tools {
		out[t.name] = results[i]
	}
	return out
}

// runTool returns the size of one tool's delta, which it removes.
func (b *bench) runTool(ctx context.Context, f files, t tool, dir string) (size int64, err error) {
	delta, decoded := filepath.Join(dir, t.name+".delta"), filepath.Join(dir, t.name+".out")
	defer func() { err = errors.Join(err, removeIfThere(delta), removeIfThere(decoded)) }()
	command := t.encode(f.old, f.new, delta)
	if _, err := process(ctx, b.timeout, nil, command[0], command[1:]...); err != nil {
		return 0, err
	}
	info, err := os.Stat(delta)
	if err != nil {
		return 0, err
	}
	command = t.decode(f.old, delta, decoded)
	if _, err := process(ctx, b.timeout, nil, command[0], command[1:]...); err != nil {
		return 0, err
	}
	if err := compare(f.new, decoded); err != nil {
		return 0, fmt.Errorf("%s: %w", t.name, err)
	}
	return info.Size(), nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
