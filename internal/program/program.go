// Package program is the main function of the programs that developers run:
// `make setup` and the benchmarks. It ends a program as their package comments
// say: 0 done or help asked for, 1 failed, 2 wrong usage. The product's own
// command line is cmd/dunlin.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

// ErrUsage: the arguments are wrong, and the user has been told how.
var ErrUsage = errors.New("wrong usage")

// Main runs a program, with a context that ends at the first of the signals, and
// exits. An error of run is printed under name, unless it wraps [ErrUsage] or
// flag.ErrHelp.
func Main(name string, run func(ctx context.Context, args []string, stdout, stderr io.Writer) error, signals ...os.Signal) {
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(name, err, os.Stderr))
}

// exitCode returns what a program ends with, and prints why it failed.
func exitCode(name string, err error, stderr io.Writer) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, ErrUsage):
		return 2
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return 1
}
