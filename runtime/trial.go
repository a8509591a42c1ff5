package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Prober tries a model where a crash does no harm.
type Prober interface {
	// Probe loads and runs a model in another process, and its golden set where it
	// has one; nil if all of that worked. Errors wrap ErrLoad (the engine refused
	// the model), ErrGolden (outputs differ), ErrProbe (the process crashed, was
	// killed or took too long), ErrProvider, ErrNoRuntime or ctx.Err(). The report
	// says what is known in either case. When it returns, the process is gone.
	Probe(ctx context.Context, t Trial) (Report, error)
}

// Trial is what a child process is to do.
type Trial struct {
	// Path is the absolute path of the model file.
	Path string
	// Golden is the absolute path of the folder of its golden set, empty for none.
	Golden string
}

// Report is what a child process found out. Its JSON form is what the child
// writes to its standard output.
type Report struct {
	// LoadSeconds and RunSeconds are how long loading took, and running the golden
	// set, or zeros where there is none.
	LoadSeconds float64 `json:"load_seconds,omitempty"`
	RunSeconds  float64 `json:"run_seconds,omitempty"`
	// Golden is how each output compares with the golden set.
	Golden []GoldenCheck `json:"golden,omitempty"`
	// PeakBytes is the most memory that the child had in use, mapped files
	// included; 0 where the operating system does not tell.
	PeakBytes int64 `json:"peak_bytes,omitempty"`
	// Stderr is an excerpt of what the child wrote to its standard error.
	Stderr string `json:"stderr,omitempty"`
}

// Bounds of a report that a child writes.
const (
	maxReportBytes = 256 << 10
	maxChecks      = 256
	maxDetailBytes = 1024
)

// decodeReport reads what a child wrote, which a model may have got hold of:
// strict and bounded.
func decodeReport(data []byte) (Report, error) {
	var r Report
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Report{}, fmt.Errorf("report of the child: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Report{}, errors.New("report of the child: something follows it")
	}
	if len(r.Golden) > maxChecks {
		return Report{}, fmt.Errorf("report of the child: %d outputs, at most %d", len(r.Golden), maxChecks)
	}
	for _, c := range r.Golden {
		if len(c.Output)+len(c.Metric)+len(c.Worst)+len(c.Detail) > maxDetailBytes {
			return Report{}, errors.New("report of the child: texts too long")
		}
	}
	return r, nil
}

// try runs one trial on engine, in this process. checker may be nil where t has
// no golden set.
func try(ctx context.Context, engine Engine, checker Checker, t Trial, notes io.Writer) (r Report, err error) {
	start := time.Now()
	s, err := engine.Load(ctx, t.Path)
	if err != nil {
		return r, err
	}
	defer func() {
		if closing := s.Close(); closing != nil && err == nil {
			err = fmt.Errorf("%w: close it: %w", ErrLoad, closing)
		}
	}()
	r.LoadSeconds = time.Since(start).Seconds()
	start = time.Now()
	if t.Golden != "" {
		r.Golden, err = checker.Check(ctx, t.Golden, s)
	} else if note := runOnZeros(ctx, s); note != nil {
		fmt.Fprintf(notes, "note: a run on zeros failed, which some models do: %v\n", note)
	}
	r.RunSeconds = time.Since(start).Seconds()
	return r, err
}
