// Command servebench measures how fast a node serves models, next to calling
// ONNX Runtime directly and to Python's onnxruntime behind FastAPI, all in one
// run. `make bench-serve` builds what it needs and runs it.
//
//	servebench                 everything; some five minutes
//	servebench -skip-python    without FastAPI
//	servebench -json           for machines; times are in seconds
//
// # What is measured
//
// A node of the dunlin binary, a process of its own, follows two models of the
// corpus: silero-vad 6.2 (2 MB, one window of 32 ms) and PP-OCR's recogniser (11
// MB, one line of 48 x 320 pixels). The same requests are answered
//
//   - directly: by a loop in this process that calls a session of runtime/onnx,
//     the package that the node uses, with the node's settings, and one
//     goroutine for each client;
//   - by the node through gRPC, with the package client;
//   - by the node through REST with binary tensors, with net/http;
//   - by Python's onnxruntime with one thread in FastAPI behind one uvicorn
//     process, on silero-vad, with bodies of JSON as a plain user writes it, and
//     of raw bytes (fastapi.py, beside this file).
//
// The systems take turns, each with 1 and with 4 clients that send one request
// after another over connections kept open, in several rounds; of each system
// the round with the most requests per second counts, which other work on the
// machine changes least. Clients run on the same machine, so the served ones pay
// for both sides.
//
// Then silero-vad 6.0 and 6.2 are published in turn, each as the next version,
// while 4 clients send: a swap is a release published, verified, tried in a
// child process and switched to. Latencies of the same load without swaps are
// measured just before.
//
// # Exit code
//
// 1 if a request failed or the run could not be done, 2 for wrong usage, 0
// otherwise, whatever the figures are; what misses its target is marked.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/program"
)

func main() {
	program.Main("servebench", func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		return run(ctx, args, os.Getenv, stdout, stderr)
	}, os.Interrupt)
}

// settings are the command line.
type settings struct {
	dunlin     string // the binary to measure
	corpus     string // the corpus's folder
	python     string // of a venv with onnxruntime, fastapi and uvicorn
	skipPython bool
	json       bool
	rounds     int
	round      time.Duration // of one system with one number of clients
	swaps      int
}

func parse(args []string, getenv func(string) string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("servebench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.dunlin, "dunlin", filepath.Join("build", "dunlin"), "the dunlin `binary` to measure")
	flags.StringVar(&s.corpus, "corpus", getenv("DUNLIN_CORPUS"), "the corpus's `folder` (default: $DUNLIN_CORPUS)")
	flags.StringVar(&s.python, "python", filepath.Join("build", "servebench-venv", "bin", "python"), "the python `binary` that has onnxruntime, fastapi and uvicorn")
	flags.BoolVar(&s.skipPython, "skip-python", false, "measure no FastAPI")
	flags.BoolVar(&s.json, "json", false, "print JSON")
	flags.IntVar(&s.rounds, "rounds", 3, "rounds of each system")
	flags.DurationVar(&s.round, "round", 3*time.Second, "how long a round of one system takes")
	flags.IntVar(&s.swaps, "swaps", 50, "releases published under load")
	if err := flags.Parse(args); err != nil {
		return s, errors.Join(err, program.ErrUsage)
	}
	var wrong string
	switch {
	case flags.NArg() > 0:
		wrong = fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	case s.corpus == "":
		wrong = "no corpus of real models: set DUNLIN_CORPUS to its folder"
	case s.rounds < 1 || s.round < time.Millisecond || s.swaps < 0:
		wrong = "rounds, their time and swaps must be positive"
	}
	if wrong != "" {
		fmt.Fprintln(stderr, "servebench:", wrong)
		flags.Usage()
		return s, program.ErrUsage
	}
	return s, nil
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) (err error) {
	s, err := parse(args, getenv, stderr)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "dunlin-serve")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	n, err := startNode(ctx, s.dunlin, temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	r := report{Clients: clientCounts()}
	for _, m := range models(s.corpus) {
		fmt.Fprintln(stderr, "servebench:", m.name)
		row, err := measure(ctx, s, n, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		r.Models = append(r.Models, row)
	}
	if s.swaps > 0 {
		fmt.Fprintln(stderr, "servebench: swaps")
		if r.Swaps, err = n.swapUnderLoad(ctx, s.corpus, s.swaps); err != nil {
			return err
		}
	}
	if s.json {
		err = r.writeJSON(stdout)
	} else {
		err = r.writeTable(stdout)
	}
	return errors.Join(err, r.failure())
}
