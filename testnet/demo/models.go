package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

// version is one release of silero-vad, MIT, as a package on PyPI ships it.
type version struct {
	name   string // ours
	pypi   string // the package's
	sha256 string // of the model file in it
	path   string // where it lies, once fetched
}

const (
	modelInWheel  = "silero_vad/data/silero_vad.onnx"
	maxModelBytes = 16 << 20
)

// fetchModels puts the three versions below dir and checks them.
func fetchModels(ctx context.Context, dir string) ([]version, error) {
	versions := []version{
		{name: "5.1.0", pypi: "5.1", sha256: "2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f"},
		{name: "6.0.0", pypi: "6.0.0", sha256: "597d30b3ec076608d059477bb14cfeffdf951bf5cae370d38f65d33bbfe82004"},
		{name: "6.2.0", pypi: "6.2.0", sha256: "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"},
	}
	for i := range versions {
		v := &versions[i]
		v.path = filepath.Join(dir, "silero-vad-"+v.name, "silero_vad.onnx")
		data, err := os.ReadFile(v.path)
		if err != nil || digest(data) != v.sha256 {
			if data, err = downloadModel(ctx, v.pypi); err != nil {
				return nil, err
			}
			if got := digest(data); got != v.sha256 {
				return nil, fmt.Errorf("silero-vad %s from PyPI: model has sha256 %s, want %s", v.pypi, got, v.sha256)
			}
			if err := errors.Join(durable.MkdirAll(filepath.Dir(v.path), 0o755), durable.WriteFile(v.path, data, 0o644)); err != nil {
				return nil, err
			}
		}
		fmt.Printf("   %s: %d bytes, sha256 %.16s…\n", v.name, len(data), v.sha256)
	}
	return versions, nil
}

func digest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// downloadModel takes the model out of the package's wheel.
func downloadModel(ctx context.Context, version string) (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "dunlin-wheel-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	pip := exec.CommandContext(ctx, "python3", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
		"--disable-pip-version-check", "--dest", dir, "silero-vad=="+version)
	if out, err := pip.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pip download silero-vad==%s: %w: %s", version, err, out)
	}
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return nil, fmt.Errorf("pip download silero-vad==%s gave %d wheels", version, len(wheels))
	}
	wheel, err := zip.OpenReader(wheels[0])
	if err != nil {
		return nil, fmt.Errorf("wheel of silero-vad %s: %w", version, err)
	}
	defer func() { err = errors.Join(err, wheel.Close()) }()
	in, err := wheel.Open(modelInWheel)
	if err != nil {
		return nil, fmt.Errorf("wheel of silero-vad %s: %w", version, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return io.ReadAll(io.LimitReader(in, maxModelBytes))
}
