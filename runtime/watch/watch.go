// Package watch counts how a model does: requests, failures, how long they
// took, and what its outputs look like. It knows no models and no tensors.
//
// A [Window] takes what happens, a [Summary] is what it amounts to. Two
// summaries, of a release and of the one before it, are what a soak compares.
// Everything takes a fixed few kilobytes, whatever the number of requests.
//
// Percentiles come from a histogram of eight buckets per doubling, so that they
// are right within 9 %. Moments of outputs are those of a sample that the caller
// takes.
package watch

import (
	"math"
	"math/bits"
	"time"
)

// perDoubling is the number of buckets between t and 2t, of microseconds.
const perDoubling = 8

const buckets = 40 * perDoubling // up to 2^40 µs, 12 days

// Window counts requests. It is not safe for concurrent use.
type Window struct {
	requests, failures, nonFinite int64
	total                         time.Duration
	counts                        [buckets]int64
	outputs                       map[string]*moments
}

// moments are Welford's running mean and sum of squares of differences.
type moments struct{ n, mean, m2 float64 }

// maxOutputs bounds how many outputs are kept apart.
const maxOutputs = 64

// Request counts one request that took d; failed if the model failed.
func (w *Window) Request(d time.Duration, failed bool) {
	w.requests++
	if failed {
		w.failures++
		return
	}
	w.total += d
	w.counts[bucket(d)]++
}

// Requests returns how many requests were counted.
func (w *Window) Requests() int64 { return w.requests }

// NonFinite counts one request of those before that was answered with NaN or
// infinities.
func (w *Window) NonFinite() { w.nonFinite++ }

// Output adds one finite element of the named output.
func (w *Window) Output(name string, v float64) {
	m := w.outputs[name]
	if m == nil {
		if w.outputs == nil {
			w.outputs = make(map[string]*moments)
		}
		if len(w.outputs) >= maxOutputs {
			return
		}
		m = &moments{}
		w.outputs[name] = m
	}
	m.n++
	delta := v - m.mean
	m.mean += delta / m.n
	m.m2 += delta * (v - m.mean)
}

// bucket returns the place of d in the histogram.
func bucket(d time.Duration) int {
	us := max(uint64(d.Microseconds()), 1)
	power := bits.Len64(us) - 1
	// The three bits after the leading one choose among eight.
	var fine uint64
	if power >= 3 {
		fine = us >> (power - 3) & 7
	} else {
		fine = us << (3 - power) & 7
	}
	return min(power*perDoubling+int(fine), buckets-1)
}

// middle returns the duration that stands for a bucket.
func middle(i int) time.Duration {
	base := math.Ldexp(1, i/perDoubling) * (1 + (float64(i%perDoubling)+0.5)/perDoubling)
	return time.Duration(base * float64(time.Microsecond))
}

// Percentile returns how long the fastest share of answered requests took at
// most; 0 where there are none.
func (w *Window) Percentile(share float64) time.Duration {
	answered := w.requests - w.failures
	if answered == 0 {
		return 0
	}
	left := int64(math.Ceil(share * float64(answered)))
	for i, n := range w.counts {
		if left -= n; left <= 0 {
			return middle(i)
		}
	}
	return middle(buckets - 1)
}

// Summary is what a window amounts to.
type Summary struct {
	Requests  int64 `json:"requests"`
	Failures  int64 `json:"failures"`
	NonFinite int64 `json:"non_finite"` // answered with NaN or infinities
	// Latencies are of answered requests, in milliseconds.
	MeanMillis float64 `json:"mean_ms"`
	P50Millis  float64 `json:"p50_ms"`
	P99Millis  float64 `json:"p99_ms"`
	// Outputs are the sampled moments of each output's finite elements.
	Outputs map[string]Moments `json:"outputs,omitempty"`
}

// Moments are of a sample of N elements.
type Moments struct {
	N    int64   `json:"n"`
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"`
}

// Summary sums the window up.
func (w *Window) Summary() Summary {
	s := Summary{
		Requests: w.requests, Failures: w.failures, NonFinite: w.nonFinite,
		P50Millis: millis(w.Percentile(0.5)), P99Millis: millis(w.Percentile(0.99)),
	}
	if answered := w.requests - w.failures; answered > 0 {
		s.MeanMillis = millis(w.total) / float64(answered)
	}
	for name, m := range w.outputs {
		// Sums of the largest floats overflow; JSON has no word for that.
		mean, std := m.mean, math.Sqrt(m.m2/m.n)
		if math.IsInf(mean, 0) || math.IsNaN(mean) || math.IsInf(std, 0) || math.IsNaN(std) {
			continue
		}
		if s.Outputs == nil {
			s.Outputs = make(map[string]Moments)
		}
		s.Outputs[name] = Moments{N: int64(m.n), Mean: mean, Std: std}
	}
	return s
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Drift returns the output whose mean has moved most from before to s, in
// standard deviations of before, and by how many; 0 where nothing can be
// compared. An output that never varied before tells nothing.
func (s Summary) Drift(before Summary) (output string, sigmas float64) {
	for name, now := range s.Outputs {
		old, ok := before.Outputs[name]
		if !ok || old.Std == 0 {
			continue
		}
		if d := math.Abs(now.Mean-old.Mean) / old.Std; d > sigmas || (d == sigmas && name < output) {
			output, sigmas = name, d
		}
	}
	return output, sigmas
}
