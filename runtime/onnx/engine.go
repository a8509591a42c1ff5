//go:build cgo && (linux || darwin)

package onnx

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	ort "github.com/yalue/onnxruntime_go"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

// New finds and checks the library, without opening it. The error wraps
// runtime.ErrNoRuntime where there is none, or not the pinned one.
func New(cfg Config) (modelrt.Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, modelrt.NoRuntime(errors.New("tensors are little endian, this machine is not"))
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, modelrt.NoRuntime(err)
	}
	found, err := ortlib.Locate(cfg.LibraryPath, os.Getenv, exe)
	if err != nil {
		return nil, modelrt.NoRuntime(err)
	}
	return &engine{cfg: cfg, lib: found}, nil
}

type engine struct {
	cfg    Config
	lib    ortlib.Found
	opened atomic.Bool // this engine has opened the library
}

// Info describes the library that was found.
func (e *engine) Info() modelrt.Info {
	info := modelrt.Info{
		Name:          "onnxruntime",
		LibraryPath:   e.lib.Path,
		LibrarySHA256: e.lib.SHA256,
		Pinned:        e.lib.Pinned,
		Providers:     []string{e.cfg.provider().Full()},
	}
	switch {
	case e.opened.Load():
		info.Version = ort.GetVersion()
	case e.lib.Pinned:
		info.Version = e.lib.Version
	}
	return info
}

// Load reads the ONNX file at path. The file is read twice: the binding tells
// a model's inputs and outputs only by way of a session of its own, which is
// made without optimisations and freed before the real one.
func (e *engine) Load(ctx context.Context, path string) (modelrt.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if err := openLibrary(e.lib.Path); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, modelrt.NoRuntime(err))
	}
	e.opened.Store(true)
	sig, err := readSignature(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", modelrt.ErrLoad, path, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	s, err := e.open(path, sig)
	if errors.Is(err, modelrt.ErrProvider) {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", modelrt.ErrLoad, path, err)
	}
	return s, nil
}

// open makes the session that runs.
func (e *engine) open(path string, sig modelrt.Signature) (*session, error) {
	opts, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer func() { _ = opts.Destroy() }() // cannot fail for options that exist
	if err := opts.SetIntraOpNumThreads(e.cfg.IntraOpThreads); err != nil {
		return nil, err
	}
	if e.cfg.InterOpThreads > 1 {
		if err := opts.SetExecutionMode(ort.ExecutionModeParallel); err != nil {
			return nil, err
		}
		if err := opts.SetInterOpNumThreads(e.cfg.InterOpThreads); err != nil {
			return nil, err
		}
	}
	if err := appendProvider(opts, e.cfg); err != nil {
		return nil, err
	}
	names := func(ports []modelrt.Port) []string {
		out := make([]string, len(ports))
		for i, p := range ports {
			out[i] = p.Name
		}
		return out
	}
	s, err := ort.NewDynamicAdvancedSession(path, names(sig.Inputs), names(sig.Outputs), opts)
	if err != nil {
		return nil, err
	}
	if sig.Metadata, err = readMetadata(s); err != nil {
		return nil, errors.Join(err, s.Destroy())
	}
	return newSession(s, sig), nil
}
