package watch

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A percentile is never off by more than a bucket, 1/16 of the value either way.
func TestPercentile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(8_000, int64(24*time.Hour)).Draw(t, "duration"))
		var w Window
		w.Request(d, false)
		w.Request(time.Hour, true) // how long a failure took does not count
		for _, share := range []float64{0.01, 0.5, 0.99, 1} {
			if got := w.Percentile(share); math.Abs(float64(got-d)) > 0.13*float64(d) {
				t.Errorf("%v of one request of %v: %v", share, d, got)
			}
		}
	})
	var w Window
	for i := range 100 {
		w.Request(time.Duration(i+1)*time.Millisecond, false)
	}
	for share, want := range map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond} {
		if got := w.Percentile(share); math.Abs(float64(got-want)) > 0.1*float64(want) {
			t.Errorf("%v: %v, want about %v", share, got, want)
		}
	}
	if (&Window{}).Percentile(0.5) != 0 {
		t.Error("a percentile of nothing")
	}
}

func TestSummary(t *testing.T) {
	var w Window
	w.Request(2*time.Millisecond, false)
	w.Request(4*time.Millisecond, false)
	w.Request(0, true)
	w.NonFinite()
	for _, v := range []float64{1, 3} {
		w.Output("y", v)
	}
	w.Output("big", math.MaxFloat64)
	w.Output("big", -math.MaxFloat64)
	s := w.Summary()
	if s.Requests != 3 || s.Failures != 1 || s.NonFinite != 1 || s.MeanMillis != 3 || s.Outputs["y"] != (Moments{2, 2, 1}) {
		t.Errorf("got %+v", s)
	}
	if _, ok := s.Outputs["big"]; ok {
		t.Error("a sum that is no number is told")
	}
	for i := range 1000 {
		w.Output(fmt.Sprint(i), 1)
	}
	if len(w.outputs) != maxOutputs {
		t.Errorf("%d outputs are kept", len(w.outputs))
	}
}

func TestDrift(t *testing.T) {
	before := Summary{Outputs: map[string]Moments{"a": {9, 1, 2}, "b": {9, 0, 1}, "constant": {9, 5, 0}}}
	now := Summary{Outputs: map[string]Moments{"a": {9, 2, 2}, "b": {9, -3, 1}, "constant": {9, 9, 0}, "new": {9, 1, 1}}}
	if output, sigmas := now.Drift(before); output != "b" || sigmas != 3 {
		t.Errorf("%s by %v", output, sigmas)
	}
	if output, sigmas := now.Drift(Summary{}); output != "" || sigmas != 0 {
		t.Errorf("%s by %v from nothing", output, sigmas)
	}
}
