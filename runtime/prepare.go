package runtime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/dunlin-mesh/dunlin/runtime/watch"
)

// prepared is a release that is ready to serve, or what is known of one that is
// not.
type prepared struct {
	session  Session
	report   *Report // of the child
	warm     *Latency
	odd      map[string]bool // outputs that its golden inputs make NaN or infinite
	unloaded *served         // what served until then, where there was no room for both
}

// Latency is how long some runs took.
type Latency struct {
	Runs       int     `json:"runs"`
	MeanMillis float64 `json:"mean_ms"`
	P50Millis  float64 `json:"p50_ms"`
	P99Millis  float64 `json:"p99_ms"`
}

// prepare verifies, tries, loads and warms c up; journal is called with each
// stage before it begins. It returns the stage that failed. The caller undoes
// with unprepare what it does not serve.
func (a *Activator) prepare(ctx context.Context, c Candidate, journal func(Stage) error) (p prepared, _ Stage, err error) {
	if p, err := a.verify(ctx, c, journal); err != nil || c.External {
		return p, StageVerifying, err
	}
	if p.unloaded, err = a.makeRoom(ctx, c); err != nil {
		return p, StageProbing, err
	}
	a.reached(StageProbing)
	if err := journal(StageProbing); err != nil {
		return p, StageProbing, err
	}
	report, err := a.cfg.Prober.Probe(ctx, Trial{Path: c.Path(), Golden: c.Golden})
	p.report = &report
	if errors.Is(err, ErrGolden) {
		return p, StageGolden, err
	}
	if err != nil {
		return p, StageProbing, err
	}
	a.reached(StageLoading)
	if err := a.drained(ctx, c.Model); err != nil {
		return p, StageLoading, err
	}
	if err := journal(StageLoading); err != nil {
		return p, StageLoading, err
	}
	if p.session, err = a.cfg.Engine.Load(ctx, c.Path()); err != nil {
		return p, StageLoading, err
	}
	if err := ctx.Err(); err != nil {
		return p, StageLoading, err
	}
	if a.cfg.WarmRuns == 0 {
		return p, StageLoading, nil
	}
	a.reached(StageWarming)
	if err := journal(StageWarming); err != nil {
		return p, StageWarming, err
	}
	return p, StageWarming, a.warm(ctx, c, &p)
}

// verify is the first stage.
func (a *Activator) verify(ctx context.Context, c Candidate, journal func(Stage) error) (p prepared, err error) {
	a.reached(StageVerifying)
	if why := a.cfg.Engine.Info().Reason; why != "" && !c.External {
		return p, NoRuntime(errors.New(why))
	}
	if c.Golden != "" && a.cfg.Checker == nil {
		return p, fmt.Errorf("%w: it has a golden set, and nothing here runs one", ErrCandidate)
	}
	if err := journal(StageVerifying); err != nil {
		return p, err
	}
	if err := c.Verify(ctx); err != nil {
		if ctx.Err() != nil {
			return p, errors.Join(ctx.Err(), err)
		}
		return p, fmt.Errorf("%w: %w", ErrVerify, err)
	}
	if err := checkEntry(c); err != nil {
		return p, err
	}
	if c.External {
		p.session = external{}
	}
	return p, nil
}

// warmTime bounds a warm-up.
const warmTime = 2 * time.Minute

// warm runs p's session on the first golden inputs, which must work, or on
// zeros, which need not.
func (a *Activator) warm(ctx context.Context, c Candidate, p *prepared) error {
	limited, cancel := context.WithTimeout(ctx, warmTime)
	defer cancel()
	inputs, err := zeros(p.session.Signature())
	if c.Golden != "" {
		if inputs, err = a.cfg.Checker.Inputs(c.Golden, p.session.Signature()); err != nil {
			return err
		}
	}
	if err != nil { // inputs that cannot be made up
		return nil
	}
	var w watch.Window
	var outputs map[string]Tensor
	for range a.cfg.WarmRuns {
		start := time.Now()
		outputs, err = p.session.Run(limited, inputs)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case limited.Err() != nil:
			return fmt.Errorf("%w: %w within %s", ErrRun, errHung, warmTime)
		case err != nil && c.Golden == "":
			return nil // some models need real inputs
		case err != nil:
			return err
		}
		w.Request(time.Since(start), false)
	}
	s := w.Summary()
	p.warm = &Latency{Runs: a.cfg.WarmRuns, MeanMillis: s.MeanMillis, P50Millis: s.P50Millis, P99Millis: s.P99Millis}
	if c.Golden != "" {
		p.odd = oddOutputs(outputs)
	}
	return nil
}

// oddOutputs returns the outputs that are not all finite.
func oddOutputs(outputs map[string]Tensor) map[string]bool {
	odd := make(map[string]bool)
	for name, t := range outputs {
		if !t.DType.IsFloat() {
			continue
		}
		for i := range t.Len() {
			if v := t.At(i); math.IsNaN(v) || math.IsInf(v, 0) {
				odd[name] = true
				break
			}
		}
	}
	return odd
}

// unprepare closes what will not serve, and brings back what was unloaded for
// it.
func (a *Activator) unprepare(ctx context.Context, p prepared) error {
	var err error
	if p.session != nil {
		err = p.session.Close()
	}
	if p.unloaded != nil {
		err = errors.Join(err, a.reload(ctx, p.unloaded))
	}
	return err
}
