// Command setup puts the pinned ONNX Runtime shared library in place, at
// build/ort/VERSION/OS-ARCH/ of the checkout, where build/dunlin finds it.
// `make setup` runs it as `go run ./internal/setup`.
//
// The library comes out of the official package on PyPI, fetched with pip, the
// ordinary client, so that the operator's mirrors, proxies and certificates
// apply. pip checks the wheel's pinned SHA-256, this program checks it again,
// and then the library's own. Python's version does not matter; nothing is
// installed into it. A machine without a network can be given the wheel with
// -wheel.
//
// With -openvino it is the build of the package "onnxruntime-openvino" that is
// fetched, with the files that its execution provider needs; it lies beside the
// other one and is used only where the operator names it.
//
// A second run finds the library in place and does nothing.
//
// With -clients it makes a Python environment in build/clients instead, with
// tritonclient and KServe's client, pinned by digest in clients.txt: `make
// setup-clients`. Only tests need it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/dunlin-mesh/dunlin/internal/program"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

func main() { program.Main("setup", run, os.Interrupt) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("setup", flag.ContinueOnError)
	flags.SetOutput(stderr)
	platform := flags.String("platform", runtime.GOOS+"/"+runtime.GOARCH, "`OS/ARCH` to fetch the library for")
	python := flags.String("python", "python3", "Python `program` whose pip fetches the wheel")
	wheel := flags.String("wheel", "", "take the library from this wheel `file` instead of fetching it")
	openvino := flags.Bool("openvino", false, "fetch the build with the OpenVINO execution provider (80 MB, linux/amd64) instead")
	build := flags.String("build", "", "build `folder` (default: build/ of the checkout around the working directory)")
	clients := flags.Bool("clients", false, "put the Python clients that tests of serving run in place, and nothing else")
	if err := flags.Parse(args); err != nil {
		return errors.Join(err, program.ErrUsage)
	}
	if flags.NArg() > 0 {
		flags.Usage()
		return program.ErrUsage
	}
	if *build == "" {
		root, err := checkout()
		if err != nil {
			return err
		}
		*build = filepath.Join(root, "build")
	}
	if *clients {
		return runClients(ctx, *python, *build, stdout)
	}
	goos, goarch, _ := strings.Cut(*platform, "/")
	lib, ok := ortlib.Pinned(goos, goarch)
	if *openvino {
		if lib, ok = ortlib.OpenVINO(goos, goarch); !ok {
			return fmt.Errorf("no ONNX Runtime with OpenVINO is pinned for %s: it exists for linux/amd64; elsewhere, set %s to a library of your own", *platform, ortlib.EnvPath)
		}
	}
	if !ok {
		return fmt.Errorf("no ONNX Runtime is pinned for %s: a node there carries and serves chunks; to run models, set %s to a library of version 1.24 or later", *platform, ortlib.EnvPath)
	}
	fetch := pip{program: *python}.download
	if *wheel != "" {
		fetch = func(context.Context, ortlib.Library, string) (string, error) { return *wheel, nil }
	}
	placed, err := place(ctx, lib, *build, fetch)
	if err != nil {
		return err
	}
	target := filepath.Join(*build, lib.RelPath())
	if !placed {
		fmt.Fprintf(stdout, "%s %s is in place: %s\n", name(lib), lib.Version, target)
		return nil
	}
	fmt.Fprintf(stdout, "%s %s put in place: %s (sha256 %s)\n", name(lib), lib.Version, target, lib.SHA256)
	if *openvino {
		fmt.Fprintf(stdout, "use it with `dunlin init` and \"onnx_runtime\": %q in config.json, or %s=%s\n", target, ortlib.EnvPath, target)
	}
	return nil
}

// name tells people which build it is.
func name(lib ortlib.Library) string {
	if len(lib.Beside) > 0 {
		return "ONNX Runtime with OpenVINO"
	}
	return "ONNX Runtime"
}

// checkout returns the folder of go.mod around the working directory.
func checkout() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := wd; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no go.mod in or above %s: run this inside the checkout, or give -build", wd)
		}
	}
}
