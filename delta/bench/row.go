package main

import (
	"fmt"
	"maps"
	"slices"
)

// row is a measured case. Sizes are in bytes, 0 where unknown.
type row struct {
	Name string `json:"name"`
	Kind kind   `json:"kind"`
	What string `json:"what,omitempty"` // of speed cases

	Full int64 `json:"full_bytes"`
	// Tools are the deltas measured here, by tool. Best is the smallest, or
	// BestFromTable if tools are missing and the corpus knows a smaller one.
	// For unrelated files it is that of plain zstd.
	Tools         map[string]int64 `json:"tools,omitempty"`
	BestTool      string           `json:"best_tool,omitempty"`
	Best          int64            `json:"best_tool_bytes,omitempty"`
	BestFromTable bool             `json:"best_from_table,omitempty"`
	TableBest     int64            `json:"table_best_bytes,omitempty"` // what the corpus says
	Reference     int64            `json:"reference_bytes,omitempty"`
	Target        int64            `json:"target_bytes,omitempty"` // at most, by all rules

	Delta         int64   `json:"delta_bytes"`
	SecondsEncode float64 `json:"seconds_encode"` // wall time, the process's start included
	SecondsDecode float64 `json:"seconds_decode"`
	PeakEncode    int64   `json:"peak_bytes_encode,omitempty"` // resident
	PeakDecode    int64   `json:"peak_bytes_decode,omitempty"`

	// Problems is what failed: the run's exit code is 1. Misses is what is
	// larger or slower than it should be.
	Problems []string `json:"problems,omitempty"`
	Misses   []string `json:"misses,omitempty"`
}

func newRow(c oneCase, f files) row {
	r := row{Name: c.name, Kind: c.kind, Full: f.full, TableBest: c.tableBest, Reference: c.reference}
	if c.speed != nil {
		r.What = c.speed.what
	}
	if c.tableBest > 0 {
		r.Best, r.BestTool, r.BestFromTable = c.tableBest, c.tableTool, true
	}
	return r
}

// addTools takes what the tools made and chooses the best: of those measured if
// all patch tools are among them.
func (r *row) addTools(results map[string]toolResult) {
	r.Tools = make(map[string]int64)
	measured := 0
	for _, name := range slices.Sorted(maps.Keys(results)) {
		result := results[name]
		if result.err != nil {
			r.Problems = append(r.Problems, result.err.Error())
			continue
		}
		r.Tools[name] = result.bytes
		if name != plainTool.name {
			measured++
		}
	}
	if measured == len(patchTools) || r.Kind == unrelatedCase {
		r.Best, r.BestTool, r.BestFromTable = 0, "", false
	}
	for _, name := range slices.Sorted(maps.Keys(r.Tools)) {
		if r.Kind == unrelatedCase && name != plainTool.name {
			continue
		}
		if n := r.Tools[name]; r.Best == 0 || n < r.Best {
			r.Best, r.BestTool, r.BestFromTable = n, name, false
		}
	}
}

// judge sets the target and notes what misses it.
func (r *row) judge(c oneCase) {
	if c.speed != nil {
		r.judgeSpeed(*c.speed)
	} else {
		r.judgeSize(c)
	}
	for _, side := range []struct {
		what string
		peak int64
	}{{"encoding", r.PeakEncode}, {"decoding", r.PeakDecode}} {
		if side.peak >= memoryTarget {
			r.miss("%s took %d MiB, promised under %d", side.what, side.peak>>20, memoryTarget>>20)
		}
	}
}

func (r *row) judgeSize(c oneCase) {
	least := func(n int64) {
		if n > 0 && (r.Target == 0 || n < r.Target) {
			r.Target = n
		}
	}
	if c.kind == unrelatedCase {
		if r.Best > 0 {
			least(r.Best + r.Best/1000 + 64)
		}
	} else {
		least(r.Best)
		least(r.Reference)
		least(int64(c.limit * float64(r.Full)))
	}
	if r.Target > 0 && r.Delta > r.Target {
		r.miss("%.1f %% above the target", 100*(float64(r.Delta)/float64(r.Target)-1))
	}
}

func (r *row) judgeSpeed(s speedCase) {
	for _, side := range []struct {
		what    string
		seconds float64
		rate    float64
	}{{"encoding", r.SecondsEncode, s.encodeRate}, {"decoding", r.SecondsDecode, s.decodeRate}} {
		if rate := float64(r.Full) / side.seconds; side.rate > 0 && side.seconds > 0 && rate < side.rate {
			r.miss("%s at %.1f MB/s, promised %.0f", side.what, rate/1e6, side.rate/1e6)
		}
		if s.within > 0 && side.seconds > s.within.Seconds() {
			r.miss("%s took %.1f s, promised %.0f", side.what, side.seconds, s.within.Seconds())
		}
	}
}

func (r *row) miss(format string, args ...any) {
	r.Misses = append(r.Misses, fmt.Sprintf(format, args...))
}

// verdict is a word for the table.
func (r *row) verdict() string {
	switch {
	case len(r.Problems) > 0:
		return "FAILED"
	case len(r.Misses) > 0:
		return "misses"
	case r.Kind != speedKind && r.Target == 0:
		return "-"
	}
	return "good"
}
