package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/delta"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// measure makes the delta of a file and decodes it again, which verifies it.
func (p *pair) measure(e *env, opt delta.Options) (m measured, err error) {
	m.file = diffFile{Name: p.name(), State: p.state, OldBytes: p.old.size, FullBytes: p.next.size}
	if p.old.name != "" && p.old.name != m.file.Name {
		m.file.From = p.old.name
	}
	if p.state != fileChanged && p.state != fileNew {
		return m, nil
	}
	in, err := openInputs(p.next.path)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	meter := newMeter(e.stderr, filepath.Base(m.file.Name))
	defer meter.finish()
	opt.Progress = meter.show
	next, old := in[0].version(meter), delta.Version{R: bytes.NewReader(nil)}
	if p.state == fileChanged {
		was, err := openInput(p.old.path)
		if err != nil {
			return m, err
		}
		in = append(in, was)
		old = was.version(meter)
	}
	temp, err := os.CreateTemp(opt.Temp, "dunlin-diff-*")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, temp.Close(), os.Remove(temp.Name())) }()
	start := time.Now()
	report, err := delta.Encode(e, old, next, temp, opt)
	if err == nil {
		err = in.unchanged()
	}
	if err != nil {
		return m, fmt.Errorf("encode %s: %w", m.file.Name, err)
	}
	m.encode = time.Since(start)
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return m, err
	}
	start = time.Now()
	if err := delta.Decode(e, old, temp, io.Discard, opt); err != nil {
		return m, fmt.Errorf("decode %s: %w", m.file.Name, err)
	}
	m.decode = time.Since(start)
	m.file.DeltaBytes = report.DeltaBytes
	shapes, err := shapesOf(e, in[0], opt.DType)
	for _, part := range report.Parts {
		m.tensors = append(m.tensors, diffTensor{File: m.file.Name, Shape: shapes[part.Name], Part: part})
	}
	return m, err
}

// shapesOf returns the shapes of a file's tensors by name. A file that breaks
// the rules of its format has none.
func shapesOf(ctx context.Context, in *input, dtype manifest.DType) (map[string][]uint64, error) {
	l, err := chunker.Layout(ctx, in.f, in.info.Size(), filepath.Base(in.path), chunker.Options{DType: dtype, Structure: true})
	if errors.Is(err, chunker.ErrMalformed) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	shapes := make(map[string][]uint64, len(l.Tensors))
	for _, t := range l.Tensors {
		shapes[t.Name] = t.Shape
	}
	delete(shapes, "") // what has no name is no tensor
	return shapes, nil
}
