// Command swarm measures how one file gets to many nodes over uplinks that
// hardly deserve the name, in a [lab] of network namespaces with real
// processes: dunlin next to other systems, all in one run. `make bench-swarm`
// builds what it needs and runs it, as root.
//
//	swarm                    everything; about an hour
//	swarm -only '^tail$'     the cases whose names match
//	swarm -systems dunlin    those systems only
//	swarm -skip-tools        dunlin alone, against ideals known from earlier
//	swarm -timeline          what happened when, on standard error
//	swarm -json              for machines; units are bytes and seconds
//
// Exit code: 1 if a system failed or a file was not what was published; 2 for
// wrong usage; 0 otherwise, whatever the figures are.
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
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/program"
)

func main() { program.Main("swarm", run, os.Interrupt, syscall.SIGTERM) }

// settings are the command line.
type settings struct {
	dunlin    string
	only      *regexp.Regexp
	systems   []string
	skipTools bool
	json      bool
	timeline  bool
	count     int
	idle      time.Duration
	timeout   time.Duration // of one update
	dark      time.Duration // that a site is without contact
	settle    time.Duration // that dunlin gets to agree on gateways
	size      int           // of models, in bytes
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("swarm", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.dunlin, "dunlin", filepath.Join("build", "dunlin"), "the dunlin `binary` to measure")
	only := flags.String("only", "", "run the cases whose names match this `pattern`")
	systems := flags.String("systems", "", "run these systems only, a `list` with commas")
	flags.BoolVar(&s.skipTools, "skip-tools", false, "run dunlin alone, and take ideals known from earlier runs, marked *")
	flags.BoolVar(&s.json, "json", false, "print JSON")
	flags.BoolVar(&s.timeline, "timeline", false, "say what happened when, on standard error")
	flags.IntVar(&s.count, "count", 1, "run everything this `often`")
	flags.DurationVar(&s.idle, "idle", 4*time.Minute, "how long nothing happens")
	flags.DurationVar(&s.dark, "dark", 10*time.Minute, "how long a site is without contact in the case dark; the full work is 1h")
	flags.DurationVar(&s.settle, "settle", 45*time.Second, "how long a mesh of dunlin gets to agree on gateways before anything is measured")
	flags.IntVar(&s.size, "size", fullSize, "length of models in `bytes`; ideals known from earlier are of the default")
	flags.DurationVar(&s.timeout, "timeout", 30*time.Minute, "for one update to reach every node, the time without contact apart")
	if err := flags.Parse(args); err != nil {
		return s, errors.Join(err, program.ErrUsage)
	}
	usage := func(err error) (settings, error) {
		fmt.Fprintln(stderr, "swarm:", err)
		flags.Usage()
		return s, program.ErrUsage
	}
	if flags.NArg() > 0 {
		return usage(fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	}
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		return usage(err)
	}
	if *systems != "" {
		s.systems = strings.Split(*systems, ",")
		for _, name := range s.systems {
			if !slices.Contains(systemNames(), name) {
				return usage(fmt.Errorf("system %q is none of %s", name, strings.Join(systemNames(), ", ")))
			}
		}
	}
	if s.count < 1 || s.idle < time.Second || s.dark < 0 || s.settle < 0 || s.size < 1000 {
		return usage(errors.New("-count is 1 or more, -idle a second or more, -size 1000 or more, and no time is negative"))
	}
	if s.dunlin, err = filepath.Abs(s.dunlin); err != nil {
		return usage(err)
	}
	return s, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	rep, err := s.runCases(ctx, stderr)
	if err != nil {
		return err
	}
	if s.json {
		err = rep.writeJSON(stdout)
	} else {
		err = rep.writeTables(stdout)
	}
	return errors.Join(err, rep.failure())
}

// runCases runs the cases with the systems that were asked for, one at a time.
// What fails becomes a row with a problem; only the end of ctx stops the run.
func (s *settings) runCases(ctx context.Context, stderr io.Writer) (*report, error) {
	s.complain(stderr)
	rep := &report{}
	ideals := make(map[string]ideal)
	for n := 1; n <= s.count; n++ {
		for _, c := range cases {
			if !s.only.MatchString(c.name) {
				continue
			}
			w := works[slices.IndexFunc(works, func(w work) bool { return w.name == c.work })]
			best, ok := ideals[w.name]
			if !ok {
				var err error
				if best, err = s.idealFor(ctx, w); err != nil {
					return nil, err
				}
				ideals[w.name] = best
			}
			for _, name := range s.chosen(c) {
				var line *timeline
				if s.timeline {
					line = &timeline{}
				}
				fmt.Fprintf(stderr, "swarm: %s: %s, run %d of %d\n", c.name, name, n, s.count)
				r, err := s.measure(ctx, c, w, best, s.newSystem(name, c, line), line, stderr)
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				r.System, r.Run = name, n
				if err != nil {
					r.Problem, _, _ = strings.Cut(err.Error(), "; its log ends:")
				}
				fmt.Fprintln(stderr, "swarm:", r.line())
				rep.Rows = append(rep.Rows, r)
			}
		}
	}
	return rep, nil
}

// idealFor runs the general tools on a workload.
func (s *settings) idealFor(ctx context.Context, w work) (best ideal, err error) {
	if s.skipTools {
		return ideal{Bytes: w.knownIdeal}, nil
	}
	dir, err := os.MkdirTemp("", "sw-")
	if err != nil {
		return best, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	old, updated := w.build(s.size)
	return idealOf(ctx, w, old, updated, dir)
}
