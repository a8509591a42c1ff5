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
//	[-provider NAME] [-cache DIR] PATH
//
// and the result is the exit code.
func ProbeMain(ctx context.Context, args []string, stderr io.Writer) int {
	cfg := Config{IntraOpThreads: 1}
	rest, err := childConfig(modelrt.ProbeArgument, &cfg, args, stderr)
	if err != nil {
		return exitUsage
	}
	return modelrt.ProbeMain(ctx, childEngine(cfg), rest, stderr)
}

// childConfig reads the arguments of a child process into cfg, and returns what
// stands after them. Wrong ones are explained on stderr.
func childConfig(name string, cfg *Config, args []string, stderr io.Writer) ([]string, error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	provider := flags.String("provider", "", "execution `provider` to load with")
	flags.StringVar(&cfg.CacheDir, "cache", "", "`folder` for what the provider compiles")
	flags.IntVar(&cfg.IntraOpThreads, "threads", cfg.IntraOpThreads, "`count` of threads of one operator")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if *provider != "" {
		p, err := modelrt.ParseProvider(*provider)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return nil, err
		}
		cfg.Provider = p
	}
	return flags.Args(), nil
}

// childEngine returns the engine, or one that says why there is none.
func childEngine(cfg Config) modelrt.Engine {
	engine, err := New(cfg)
	if err != nil {
		return modelrt.NoEngine(err)
	}
	return engine
}
