package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// bench runs cases one after the other.
type bench struct {
	settings
	tools  []tool
	stderr io.Writer
}

// parallel is how many tools run at once; we always run alone.
func (b *bench) parallel() int { return runtime.NumCPU() }

// all runs every case that was asked for. Cases that fail stand in the report
// with what went wrong; the error is that nothing could be measured.
func (b *bench) all(ctx context.Context, cases []oneCase) (*report, error) {
	r := &report{}
	for _, c := range cases {
		if !b.only.MatchString(c.name) {
			continue
		}
		start := time.Now()
		row, err := b.one(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r.Rows = append(r.Rows, row)
		fmt.Fprintf(b.stderr, "%-40s %11d bytes  %s  (%s)\n", row.Name, row.Delta, row.verdict(), time.Since(start).Round(100*time.Millisecond))
	}
	if len(r.Rows) == 0 {
		return nil, fmt.Errorf("no case matches %q", b.only)
	}
	r.sum()
	return r, nil
}

// one measures a case. The error is about the machine or the corpus; what
// programs did wrong is in the row.
func (b *bench) one(ctx context.Context, c oneCase) (result row, err error) {
	dir, err := os.MkdirTemp(b.temp, "dunlin-bench-*")
	if err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f, err := b.files(ctx, c, dir)
	if err != nil {
		return row{}, err
	}
	r := newRow(c, f)
	if c.kind != speedKind {
		var tools []tool
		for _, t := range b.tools {
			if t.name == plainTool.name && c.kind != unrelatedCase || t.refuse && f.oldEmpty {
				continue
			}
			tools = append(tools, t)
		}
		r.addTools(b.runTools(ctx, f, tools, dir))
	}
	if err := b.ours(ctx, c, f, dir, &r); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	r.judge(c)
	return r, nil
}

// files puts a case's files on disk, or finds them in the corpus.
func (b *bench) files(ctx context.Context, c oneCase, dir string) (files, error) {
	if c.kind == pairCase {
		return files{old: c.old, new: c.new}.sized()
	}
	self, err := os.Executable()
	if err != nil {
		return files{}, err
	}
	made := filepath.Join(dir, "made")
	if err := os.Mkdir(made, 0o755); err != nil {
		return files{}, err
	}
	if _, err := process(ctx, b.timeout, nil, self, "-corpus", b.corpus, "-prepare", c.name, "-dir", made); err != nil {
		return files{}, err
	}
	return prepared(made)
}

// ours encodes and decodes with dunlin and notes what it took.
func (b *bench) ours(ctx context.Context, c oneCase, f files, dir string, r *row) error {
	effort, env := b.effort, []string(nil)
	if c.speed != nil {
		effort = c.speed.effort
		if c.speed.procs != "" {
			env = append(env, "GOMAXPROCS="+c.speed.procs)
		}
	}
	delta, decoded := filepath.Join(dir, "dunlin.delta"), filepath.Join(dir, "dunlin.out")
	args := []string{"delta", "encode"}
	if effort != "" {
		args = append(args, "--effort", effort)
	}
	if f.adapter != "" {
		args = append(args, "--lora", f.adapter)
	}
	used, err := process(ctx, b.timeout, env, b.dunlin, append(args, f.old, f.new, delta)...)
	if err != nil {
		return err
	}
	r.SecondsEncode, r.PeakEncode = used.wall.Seconds(), used.peak
	info, err := os.Stat(delta)
	if err != nil {
		return err
	}
	r.Delta = info.Size()
	used, err = process(ctx, b.timeout, env, b.dunlin, "delta", "decode", f.old, delta, decoded)
	if err != nil {
		return err
	}
	r.SecondsDecode, r.PeakDecode = used.wall.Seconds(), used.peak
	return compare(f.new, decoded)
}
