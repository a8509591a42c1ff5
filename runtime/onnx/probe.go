package onnx

import (
	"context"
	"flag"
	"fmt"
	"io"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// exitUsage is the exit code of a child that was started with wrong arguments.
const exitUsage = 2

// ProbeMain is the whole program of a probe's child process, see
// runtime.ProbeMain: args are the arguments after "runtime-probe",
//
//	[-provider NAME] [-cache DIR] PATH [GOLDEN]
//
// checker runs golden sets, and the result is the exit code.
func ProbeMain(ctx context.Context, args []string, checker modelrt.Checker, stdout, stderr io.Writer) int {
	engine, rest, err := ForChild(modelrt.ProbeArgument, 1, args, stderr)
	if err != nil {
		return exitUsage
	}
	return modelrt.ProbeMain(ctx, engine, checker, rest, stdout, stderr)
}

// ForChild returns the engine of a child process that was started with the
// arguments
//
//	[-provider NAME] [-cache DIR] [-threads N] REST...
//
// and the rest of them; threads is the default, 0 for one per core. An engine
// that cannot be had is one that says why. Wrong arguments are an error, which
// was explained on stderr: the exit code for it is 2.
func ForChild(name string, threads int, args []string, stderr io.Writer) (modelrt.Engine, []string, error) {
	cfg := Config{}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	provider := flags.String("provider", "", "execution `provider` to load with")
	flags.StringVar(&cfg.CacheDir, "cache", "", "`folder` for what the provider compiles")
	flags.IntVar(&cfg.IntraOpThreads, "threads", threads, "`count` of threads of one operator")
	if err := flags.Parse(args); err != nil {
		return nil, nil, err
	}
	if *provider != "" {
		p, err := modelrt.ParseProvider(*provider)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return nil, nil, err
		}
		cfg.Provider = p
	}
	engine, err := New(cfg)
	if err != nil {
		engine = modelrt.NoEngine(err)
	}
	return engine, flags.Args(), nil
}
