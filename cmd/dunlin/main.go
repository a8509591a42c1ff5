// Command dunlin is a node of a peer-to-peer mesh that carries AI models, and
// the tool to talk to one. `dunlin --help` is its guide.
//
// Standard output is the answer, standard error the story; --json is the
// stable format. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not verified
// (signature, digest, golden), 4 not reachable or timed out, 5 over budget,
// quota or disk.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/dunlin-mesh/dunlin/node"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/golden"
	"github.com/dunlin-mesh/dunlin/runtime/onnx"
	"github.com/dunlin-mesh/dunlin/runtime/profile"
	"github.com/dunlin-mesh/dunlin/runtime/worker"
	"github.com/dunlin-mesh/dunlin/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program but for the process around it; it returns the exit
// code.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == modelrt.ProbeArgument {
		return onnx.ProbeMain(ctx, args[1:], golden.Checker{}, stdout, stderr)
	}
	if len(args) > 0 && args[0] == worker.Argument {
		return workerMain(ctx, args[1:], stderr)
	}
	if len(args) > 0 && args[0] == profile.MeasureArgument {
		engine, rest, err := onnx.ForChild(args[0], 0, args[1:], stderr)
		if err != nil {
			return 2
		}
		return profile.MeasureMain(ctx, engine, rest, stdout, stderr)
	}
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("dunlin"), kong.Description(about), kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }), kong.Vars{"home": defaultHome(getenv), "version": node.Version},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		return report(stderr, fmt.Errorf("command line: %w", err))
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // help was asked for, and given
		return exited
	}
	if err != nil {
		return report(stderr, api.Errorf(api.CodeUsage, "%v (see `dunlin --help`)", err))
	}
	e := &env{Context: ctx, getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr, dir: c.Dir, json: c.JSON, verbose: c.Verbose}
	err = parsed.Run(e)
	return report(stderr, errors.Join(err, e.close()))
}

// report writes what went wrong and returns the exit code for it.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "dunlin: %v\n", err)
	if wire, ok := errors.AsType[*api.Error](err); ok {
		return wire.ExitCode()
	}
	switch {
	case errors.Is(err, context.Canceled):
		return 4
	case errors.Is(err, store.ErrLocked):
		return 4
	case errors.Is(err, store.ErrFull):
		return 5
	}
	return 1
}

// defaultHome is ~/.dunlin, or .dunlin here for a user without a home.
func defaultHome(getenv func(string) string) string {
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".dunlin")
	}
	return ".dunlin"
}
