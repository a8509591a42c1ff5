package runtime

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/runtime/watch"
)

// Soak says how an active release is watched until it is committed, and what
// makes it fail.
type Soak struct {
	// Duration is how long it is watched, at most 24 hours; 0 to commit at once.
	// It is committed then, however few requests came.
	Duration time.Duration
	// Tries is how many unexpected ends of the process it takes to fail, 1 to 10.
	Tries int
	// MinRequests is how many requests there must have been, of it and of the
	// release before, before rates and latencies count. At least 1.
	MinRequests int64
	// MaxErrorRate is the share of requests that may fail, 0 to 1, beyond the
	// share that failed with the release before.
	MaxErrorRate float64
	// MaxSlowdown is how many times the median latency of the release before its
	// own may be, at least 1; 0 for any.
	MaxSlowdown float64
	// MaxDrift is by how many standard deviations the mean of an output may move
	// from that of the release before; 0, as by default, for any: drift is shown
	// but retraining may mean it.
	MaxDrift float64
}

// DefaultSoak watches for ten minutes.
func DefaultSoak() Soak {
	return Soak{Duration: 10 * time.Minute, Tries: maxCrashes, MinRequests: 50, MaxErrorRate: 0.05, MaxSlowdown: 3}
}

const (
	maxTries = 10
	maxSoak  = 24 * time.Hour
	// minSlower is what a median must have grown by to count: a timer's noise.
	minSlower = time.Millisecond
)

// Validate refuses what is out of range; a Duration of 0 makes all else moot.
func (s Soak) Validate() error {
	switch {
	case s.Duration == 0:
		return nil
	case s.Duration < 0 || s.Duration > maxSoak:
		return fmt.Errorf("soak of %s is not within 0 and %s", s.Duration, maxSoak)
	case s.Tries < 1 || s.Tries > maxTries:
		return fmt.Errorf("soak with %d tries, must be 1 to %d", s.Tries, maxTries)
	case s.MinRequests < 1:
		return fmt.Errorf("soak after %d requests, must be at least 1", s.MinRequests)
	case !(s.MaxErrorRate >= 0 && s.MaxErrorRate <= 1):
		return fmt.Errorf("soak with error rate %v, must be 0 to 1", s.MaxErrorRate)
	case s.MaxSlowdown != 0 && !(s.MaxSlowdown >= 1):
		return fmt.Errorf("soak with slowdown %v, must be 0 or at least 1", s.MaxSlowdown)
	case !(s.MaxDrift >= 0):
		return fmt.Errorf("soak with drift %v, must not be negative", s.MaxDrift)
	}
	return nil
}

// What ends a soak badly.
var (
	errNonFinite   = errors.New("it answered with NaN or infinities, which its warm-up and the release before did not")
	errErrorRate   = errors.New("too many requests failed")
	errSlower      = errors.New("it is slower than the release before")
	errDrift       = errors.New("its outputs have moved from those of the release before")
	errWorkerEnded = errors.New("its worker process ended unexpectedly")
	errRestarted   = errors.New("the process ended unexpectedly while it was watched")
)

// SoakStatus is how an active release does that is not committed.
type SoakStatus struct {
	// Until is when it is committed if nothing happens.
	Until time.Time `json:"until"`
	// TriesLeft is how many unexpected ends of the process it takes to fail.
	TriesLeft int `json:"tries_left"`
	// Now is how it does, Before how the release before did in this process.
	Now    watch.Summary `json:"now"`
	Before watch.Summary `json:"before"`
	// DriftOutput is the output whose mean moved most, by DriftSigmas standard
	// deviations; empty where nothing can be compared.
	DriftOutput string  `json:"drift_output,omitempty"`
	DriftSigmas float64 `json:"drift_sigmas,omitempty"`
}

// verdict returns why the release has failed, nil while it has not.
func (s Soak) verdict(now, before watch.Summary) error {
	if now.NonFinite > 0 && before.NonFinite == 0 {
		return fmt.Errorf("%w: in %d of %d requests", errNonFinite, now.NonFinite, now.Requests)
	}
	if now.Requests < s.MinRequests {
		return nil
	}
	rate, was := share(now.Failures, now.Requests), share(before.Failures, before.Requests)
	if rate > was+s.MaxErrorRate {
		return fmt.Errorf("%w: %d of %d", errErrorRate, now.Failures, now.Requests)
	}
	if before.Requests < s.MinRequests {
		return nil
	}
	grown := time.Duration((now.P50Millis - before.P50Millis) * float64(time.Millisecond))
	if s.MaxSlowdown > 0 && grown >= minSlower && now.P50Millis > s.MaxSlowdown*before.P50Millis {
		return fmt.Errorf("%w: %.3g ms at the median, %.3g ms before", errSlower, now.P50Millis, before.P50Millis)
	}
	if output, sigmas := now.Drift(before); s.MaxDrift > 0 && sigmas > s.MaxDrift {
		return fmt.Errorf("%w: the mean of %s by %.3g standard deviations", errDrift, output, sigmas)
	}
	return nil
}

func share(part, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}

const (
	// sampleElements is how many elements of an output are looked at, evenly
	// spread, of a release that is watched.
	sampleElements = 1 << 16
	// momentElements is how many of those go into the moments.
	momentElements = 1 << 10
	// sampleEvery is how many requests to a committed release there are for each
	// whose outputs are looked at: the next release is compared with them.
	sampleEvery = 16
	// verdictEvery is how many requests there are between two verdicts.
	verdictEvery = 16
)

// soak is what a served session has while it is watched.
type soak struct {
	rules  Soak
	until  time.Time
	before watch.Summary
	odd    map[string]bool // outputs that its golden inputs make NaN or infinite
}

// observe counts a request, and tells whether the soak has just gone wrong.
func (s *served) observe(d time.Duration, outputs map[string]Tensor, err error) (bad bool) {
	failed := errors.Is(err, ErrRun)
	if err != nil && !failed { // the caller's fault, or wish
		return false
	}
	s.mu.Lock()
	watched, n := s.soak, s.window.Requests()
	s.mu.Unlock()
	var nonFinite bool
	var samples map[string][]float64
	if watched != nil || n%sampleEvery == 0 {
		var odd map[string]bool
		if watched != nil {
			odd = watched.odd
		}
		samples, nonFinite = sample(outputs, odd)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.window.Request(d, failed)
	if nonFinite {
		s.window.NonFinite()
	}
	for name, values := range samples {
		for _, v := range values {
			s.window.Output(name, v)
		}
	}
	if s.soak == nil || (n%verdictEvery != 0 && !nonFinite && !failed) {
		return false
	}
	return s.judge() != nil
}

// sample takes finite elements of each float output, and tells whether an
// output that is not odd has others.
func sample(outputs map[string]Tensor, odd map[string]bool) (values map[string][]float64, nonFinite bool) {
	values = make(map[string][]float64, len(outputs))
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		t := outputs[name]
		if !t.DType.IsFloat() {
			continue
		}
		n := t.Len()
		step := max(1, (n+sampleElements-1)/sampleElements)
		each := max(1, n/step/momentElements)
		for k := 0; k*step < n; k++ {
			v := t.At(k * step)
			if math.IsNaN(v) || math.IsInf(v, 0) {
				nonFinite = nonFinite || !odd[name]
			} else if k%each == 0 {
				values[name] = append(values[name], v)
			}
		}
	}
	return values, nonFinite
}

// soakStatus tells how the soak goes, nil where there is none.
func (s *served) soakStatus(triesLeft int) *SoakStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.soak == nil {
		return nil
	}
	st := &SoakStatus{Until: s.soak.until.UTC(), TriesLeft: triesLeft, Now: s.window.Summary(), Before: s.soak.before}
	st.DriftOutput, st.DriftSigmas = st.Now.Drift(st.Before)
	return st
}

// verdict returns why the soak has failed, nil where it has not.
func (s *served) verdict() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.judge()
}

// judge is verdict for who holds mu.
func (s *served) judge() error {
	if s.soak == nil {
		return nil
	}
	if w := workerOf(s.session); w != nil && w.Crashes >= s.soak.rules.Tries {
		return fmt.Errorf("%w %d times: %s", errWorkerEnded, w.Crashes, w.LastCrash)
	}
	return s.soak.rules.verdict(s.window.Summary(), s.soak.before)
}

// summary is how the release did in this process.
func (s *served) summary() watch.Summary {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.window.Summary()
}
