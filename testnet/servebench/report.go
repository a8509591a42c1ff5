package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// Targets: what must be reached.
const (
	minDirectRatio     = 0.9    // requests per second of the large model, by calling directly
	maxOverheadSeconds = 200e-6 // median over gRPC less the median directly, of the small model
	minPythonRatio     = 2.0    // requests per second of the small model, by FastAPI's
	maxSwapRatio       = 2.0    // p99 during swaps by p99 before
)

// report is a whole run.
type report struct {
	Clients []int  `json:"clients"`
	Models  []row  `json:"models"`
	Swaps   *swaps `json:"swaps,omitempty"`
}

// row is one model: of each system one load for each number of clients.
type row struct {
	Model   string            `json:"model"`
	Large   bool              `json:"large"`
	Systems map[string][]load `json:"systems"`
}

// ratio is the requests per second of one system by those of another, 0 where
// one was not measured.
func (r row) ratio(at int, system, other string) float64 {
	x, y := r.Systems[system], r.Systems[other]
	if at >= len(x) || at >= len(y) || y[at].PerSecond == 0 {
		return 0
	}
	return x[at].PerSecond / y[at].PerSecond
}

// overhead is how much longer the median request takes than calling directly,
// with one client.
func (r row) overhead(system string) float64 {
	x, y := r.Systems[system], r.Systems[systemDirect]
	if len(x) == 0 || len(y) == 0 {
		return 0
	}
	return x[0].P50 - y[0].P50
}

// verdict marks what misses its target.
func verdict(good bool) string {
	if good {
		return "good"
	}
	return "MISSED"
}

func (r *report) writeJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "model\tsystem\tclients\trequests/s\tp50 µs\tp99 µs\tby direct\t")
	for _, m := range r.Models {
		for _, system := range []string{systemDirect, systemGRPC, systemREST, systemRaw, systemJSON} {
			for i, l := range m.Systems[system] {
				fmt.Fprintf(t, "%s\t%s\t%d\t%.0f\t%.0f\t%.0f\t%.2f\t\n", m.Model, system, l.Clients, l.PerSecond, l.P50*1e6, l.P99*1e6, m.ratio(i, system, systemDirect))
			}
		}
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "what\tmeasured\twanted\t\t")
	for _, m := range r.Models {
		r.writeTargets(t, m)
	}
	if s := r.Swaps; s != nil {
		ratio := 0.0
		if s.Before.P99 > 0 {
			ratio = s.During.P99 / s.Before.P99
		}
		fmt.Fprintf(t, "%d swaps in %.0f s, requests failed\t%d of %d\t0\t%s\t\n", s.Count, s.Seconds, s.During.Failed, s.During.Requests+s.During.Failed, verdict(s.During.Failed == 0))
		fmt.Fprintf(t, "p99 during swaps %.0f µs by before %.0f µs\t%.2f\tat most %.1f\t%s\t\n", s.During.P99*1e6, s.Before.P99*1e6, ratio, maxSwapRatio, verdict(ratio <= maxSwapRatio))
	}
	return t.Flush()
}

// writeTargets compares one model with what is wanted of it.
func (r *report) writeTargets(t io.Writer, m row) {
	for i, clients := range r.Clients {
		for _, system := range []string{systemGRPC, systemREST} {
			if got := m.ratio(i, system, systemDirect); m.Large {
				fmt.Fprintf(t, "%s, %s by direct, %d clients\t%.2f\tat least %.1f\t%s\t\n", m.Model, system, clients, got, minDirectRatio, verdict(got >= minDirectRatio))
			}
		}
		for _, other := range []string{systemRaw, systemJSON} {
			if got := m.ratio(i, systemGRPC, other); got > 0 {
				fmt.Fprintf(t, "%s, grpc by %s, %d clients\t%.2f\tat least %.1f\t%s\t\n", m.Model, other, clients, got, minPythonRatio, verdict(got >= minPythonRatio))
			}
		}
	}
	if !m.Large {
		got := m.overhead(systemGRPC)
		fmt.Fprintf(t, "%s, grpc over direct at the median\t%.0f µs\tbelow %.0f µs\t%s\t\n", m.Model, got*1e6, maxOverheadSeconds*1e6, verdict(got < maxOverheadSeconds))
	}
}

// failure is an error if a request failed during swaps.
func (r *report) failure() error {
	if r.Swaps == nil || r.Swaps.During.failure == nil {
		return nil
	}
	return fmt.Errorf("%d requests failed during swaps: %w", r.Swaps.During.Failed, r.Swaps.During.failure)
}
