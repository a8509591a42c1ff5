package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

// errText bounds how much of pip's complaint is repeated.
const errText = 4 << 10

// pip fetches wheels with the pip of a Python program.
type pip struct {
	program string // name or path
}

// download is a fetcher. Platform and Python version are given to pip
// explicitly, so that those of the machine do not matter.
func (p pip) download(ctx context.Context, lib ortlib.Library, dir string) (string, error) {
	python, err := exec.LookPath(p.program)
	if err != nil {
		return "", fmt.Errorf("python is needed to fetch ONNX Runtime from PyPI: %w; install python3 with pip, or download %s yourself and give it with -wheel", err, lib.Wheel)
	}
	if out, err := exec.CommandContext(ctx, python, "-m", "pip", "--version").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s has no working pip: %w: %s; install it (such as with `apt-get install python3-pip`), or download %s yourself and give it with -wheel", python, err, tail(out), lib.Wheel)
	}
	requirements := filepath.Join(dir, "requirements.txt")
	line := fmt.Sprintf("%s==%s --hash=sha256:%s\n", lib.Package, lib.Version, lib.WheelSHA256)
	if err := os.WriteFile(requirements, []byte(line), 0o644); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, python, "-m", "pip", "download",
		"--quiet", "--disable-pip-version-check", "--no-input",
		"--no-deps", "--only-binary=:all:", "--require-hashes",
		"--implementation=cp", "--python-version=3.11", "--abi=cp311", "--platform="+lib.Platform,
		"--dest="+dir, "--requirement="+requirements)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("pip cannot fetch %s %s for %s: %w: %s; check the network and pip's configuration, or download %s yourself and give it with -wheel", lib.Package, lib.Version, lib.Platform, err, tail(out), lib.Wheel)
	}
	return filepath.Join(dir, lib.Wheel), nil
}

// tail returns the last part of a program's output, on one line.
func tail(out []byte) string {
	out = bytes.TrimSpace(out)
	if len(out) > errText {
		out = out[len(out)-errText:]
	}
	return strings.Join(strings.Fields(string(out)), " ")
}
