package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// requirements are the packages of the clients, for pip.
//
//go:embed clients.txt
var requirements []byte

// clientsDir is the folder, in build/, of a Python environment with the clients
// that tests of serving run.
const clientsDir = "clients"

// doneName is the file that names the requirements which have been installed.
const doneName = "installed.sha256"

// placeClients makes the Python environment in the folder build, and tells
// whether it had to. pip checks the digest of everything that it installs.
func placeClients(ctx context.Context, program, build string) (placed bool, err error) {
	dir := filepath.Join(build, clientsDir)
	sum := sha256.Sum256(requirements)
	want := hex.EncodeToString(sum[:])
	have, err := os.ReadFile(filepath.Join(dir, doneName))
	switch {
	case err == nil && string(have) == want:
		return false, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("look at what is in place: %w", err)
	}
	python, err := exec.LookPath(program)
	if err != nil {
		return false, fmt.Errorf("python is needed for the clients: %w", err)
	}
	if err := os.MkdirAll(build, 0o755); err != nil {
		return false, fmt.Errorf("make folder: %w", err)
	}
	list := filepath.Join(build, clientsDir+".txt")
	if err := os.WriteFile(list, requirements, 0o644); err != nil {
		return false, fmt.Errorf("write requirements: %w", err)
	}
	if out, err := exec.CommandContext(ctx, python, "-m", "venv", "--clear", dir).CombinedOutput(); err != nil {
		return false, fmt.Errorf("make a Python environment in %s: %w: %s; install python3-venv", dir, err, tail(out))
	}
	pip := exec.CommandContext(ctx, clientsPython(build), "-m", "pip", "install",
		"--quiet", "--disable-pip-version-check", "--no-input", "--only-binary=:all:", "--require-hashes", "--requirement="+list)
	if out, err := pip.CombinedOutput(); err != nil {
		return false, fmt.Errorf("pip cannot install the clients: %w: %s; check the network and pip's configuration", err, tail(out))
	}
	return true, os.WriteFile(filepath.Join(dir, doneName), []byte(want), 0o644)
}

// clientsPython is the path of the environment's Python.
func clientsPython(build string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(build, clientsDir, "Scripts", "python.exe")
	}
	return filepath.Join(build, clientsDir, "bin", "python")
}

// runClients places the clients and says so.
func runClients(ctx context.Context, program, build string, stdout io.Writer) error {
	placed, err := placeClients(ctx, program, build)
	if err != nil {
		return err
	}
	how := "are in place"
	if placed {
		how = "put in place"
	}
	_, err = fmt.Fprintf(stdout, "Python clients %s: %s\n", how, clientsPython(build))
	return err
}
