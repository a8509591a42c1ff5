package profile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// MeasureArgument is the hidden first argument with which a program is started
// to measure; MeasureMain is what it must run then.
const MeasureArgument = "runtime-measure"

// How long each figure is taken, at the least, and how much memory is moved: far
// more than caches hold.
const (
	measureTime    = 250 * time.Millisecond
	bandwidthBytes = 64 << 20 // per core
)

// measureMemory stands where a model's path does, to measure memory.
const measureMemory = "memory"

// measured is what the child says, in JSON.
type measured struct {
	// Seconds that one run of the model takes, the best of many.
	Seconds float64 `json:"seconds,omitempty"`
	// BandwidthBytes is what all cores read and write of memory per second.
	BandwidthBytes float64 `json:"bandwidth_bytes,omitempty"`
}

// MeasureMain is the whole program of the child process that measures. args is
// the path of a model, or the word "memory". It writes JSON to stdout and
// returns the process's exit code: 0 measured, 1 could not be, 2 wrong arguments.
func MeasureMain(ctx context.Context, engine modelrt.Engine, args []string, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintf(stderr, "usage: %s [-provider NAME] [-cache DIR] [-threads N] MODEL|%s\n", MeasureArgument, measureMemory)
		return 2
	}
	var out measured
	if args[0] == measureMemory {
		out.BandwidthBytes = bandwidth(runtime.GOMAXPROCS(0))
	} else {
		run, err := measure(ctx, engine, args[0])
		if err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		out.Seconds = run.Seconds()
	}
	if err := json.NewEncoder(stdout).Encode(out); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// measure returns how long a run of a model takes, the best of all after the
// first: what else the machine does makes a run slower and never faster.
func measure(ctx context.Context, engine modelrt.Engine, path string) (best time.Duration, err error) {
	s, err := engine.Load(ctx, path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	inputs := make(map[string]modelrt.Tensor)
	for _, p := range s.Signature().Inputs {
		x, err := modelrt.NewTensor(p.DType, p.Shape, 64<<20)
		if err != nil {
			return 0, err
		}
		if p.DType == modelrt.F32 {
			copy(x.Data, floats(len(x.Data)/4))
		} else {
			copy(x.Data, codes(len(x.Data)))
		}
		inputs[p.Name] = x
	}
	best = math.MaxInt64
	var end time.Time
	for i := 0; i <= 1 || time.Now().Before(end); i++ {
		start := time.Now()
		if _, err := s.Run(ctx, inputs); err != nil {
			return 0, fmt.Errorf("run %s: %w", filepath.Base(path), err)
		}
		if i == 0 {
			end = time.Now().Add(measureTime)
			continue
		}
		best = min(best, time.Since(start))
	}
	return max(best, time.Microsecond), nil
}

// bandwidth returns bytes per second that so many cores read and write together
// when they copy, the best of a few.
func bandwidth(cores int) float64 {
	from, to := make([][]byte, cores), make([][]byte, cores)
	for i := range cores {
		from[i], to[i] = make([]byte, bandwidthBytes), make([]byte, bandwidthBytes)
	}
	best := 0.0
	for i := range 6 {
		var all sync.WaitGroup
		start := time.Now()
		for c := range cores {
			all.Go(func() { copy(to[c], from[c]) })
		}
		all.Wait()
		if i > 0 { // the first one has the pages made
			best = max(best, float64(2*cores*bandwidthBytes)/time.Since(start).Seconds())
		}
	}
	return best
}

// writeTemporary makes a folder with the models; the caller removes it.
func writeTemporary() (string, error) {
	dir, err := os.MkdirTemp("", "dunlin-profile-*")
	if err != nil {
		return "", fmt.Errorf("folder of models to measure with: %w", err)
	}
	if err := writeModels(dir); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}
