// Command bench compares deltas of dunlin with those of general tools, on real
// pairs and on synthesised updates, all in one run. `make bench-delta` builds
// what it needs and runs it.
//
//	bench                    everything; about half an hour
//	bench -only '^silero'    the pairs and classes whose names match
//	bench -skip-tools        figures of PAIRS.tsv and the README, marked *
//	bench -json              for machines; units are bytes and seconds
//
// # What is measured
//
// The pairs of the corpus's PAIRS.tsv, the classes of [synth.Classes], and
// "speed/..." for figures of time and memory. The tools are zstd -19 --long=31
// --patch-from, xdelta3 -9 -S djw and bsdiff, from Debian's packages zstd,
// xdelta3 and bsdiff, each measured here and now. We are measured from outside,
// as `dunlin delta encode` and `dunlin delta decode` in processes of their own:
// time is wall time with the process's start, memory is the kernel's maximum
// of resident bytes. Every delta, of the tools too, is decoded and the result
// compared bit for bit.
//
// A row is good if our delta is no larger than the smallest of the tools and
// of the reference coder, and no larger than the share of the file that is
// promised for its class; for unrelated files, than plain zstd + 0.1 % + 64
// bytes. The sum over PAIRS.tsv is to be at most 0.80 of the best tools'.
//
// # Exit code
//
// 1 if anything could not be encoded, decoded or was decoded wrongly, whether
// by us or by a tool that is there; 2 for wrong usage; 0 otherwise, whatever
// the sizes are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/program"
)

func main() {
	program.Main("bench", func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		return run(ctx, args, os.Getenv, stdout, stderr)
	}, os.Interrupt)
}

// settings are the command line.
type settings struct {
	dunlin    string         // the binary to measure
	corpus    string         // the corpus's folder
	temp      string         // where files of the run lie
	effort    string         // for `dunlin delta encode`, "" for its default
	only      *regexp.Regexp // names to run
	skipTools bool
	json      bool
	timeout   time.Duration // for each process

	prepare, dir string // a run that only writes one case's files
}

func parse(args []string, getenv func(string) string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.dunlin, "dunlin", filepath.Join("build", "dunlin"), "the dunlin `binary` to measure")
	flags.StringVar(&s.corpus, "corpus", getenv("DUNLIN_CORPUS"), "the corpus's `folder` (default: $DUNLIN_CORPUS, or shared/corpus beside a folder above)")
	flags.StringVar(&s.temp, "temp", "", "`folder` for the run's files, up to 5 GB (default: the system's)")
	flags.StringVar(&s.effort, "effort", "", "fast or strong (default: the default of `dunlin delta encode`); speed cases have their own")
	only := flags.String("only", "", "run the cases whose names match this `pattern`")
	flags.BoolVar(&s.skipTools, "skip-tools", false, "do not run the general tools; take the corpus's figures, marked *")
	flags.BoolVar(&s.json, "json", false, "print JSON")
	flags.DurationVar(&s.timeout, "timeout", 20*time.Minute, "for each process")
	flags.StringVar(&s.prepare, "prepare", "", "only write the files of this `case` (the program runs itself so)")
	flags.StringVar(&s.dir, "dir", "", "`folder` for -prepare")
	if err := flags.Parse(args); err != nil {
		return s, errors.Join(err, program.ErrUsage)
	}
	usage := func(err error) (settings, error) {
		fmt.Fprintln(stderr, "bench:", err)
		flags.Usage()
		return s, program.ErrUsage
	}
	if flags.NArg() > 0 {
		return usage(fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	}
	if s.effort != "" && s.effort != "fast" && s.effort != "strong" {
		return usage(fmt.Errorf("effort %q is neither fast nor strong", s.effort))
	}
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		return usage(err)
	}
	if s.corpus == "" {
		if s.corpus, err = findCorpus(); err != nil {
			return usage(err)
		}
	}
	return s, nil
}

// findCorpus looks for the corpus beside the folders above this one.
func findCorpus() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := wd; ; at = filepath.Dir(at) {
		dir := filepath.Join(at, "shared", "corpus")
		if _, err := os.Stat(filepath.Join(dir, "PAIRS.tsv")); err == nil {
			return dir, nil
		}
		if at == filepath.Dir(at) {
			return "", errors.New("no corpus of real models: set DUNLIN_CORPUS to its folder")
		}
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	s, err := parse(args, getenv, stderr)
	if err != nil {
		return err
	}
	cases, err := allCases(s.corpus)
	if err != nil {
		return err
	}
	if s.prepare != "" {
		return prepare(cases, s.prepare, s.corpus, s.dir)
	}
	if s.dunlin, err = filepath.Abs(s.dunlin); err != nil {
		return err
	}
	if _, err := os.Stat(s.dunlin); err != nil {
		return fmt.Errorf("the binary to measure: %w; build it with `make build`", err)
	}
	tools := availableTools(s.skipTools, stderr)
	b := &bench{settings: s, tools: tools, stderr: stderr}
	report, err := b.all(ctx, cases)
	if err != nil {
		return err
	}
	if s.json {
		err = report.writeJSON(stdout)
	} else {
		err = report.writeTable(stdout)
	}
	return errors.Join(err, report.failure())
}
