package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestBestTool(t *testing.T) {
	pair := oneCase{name: "p", kind: pairCase, tableTool: "bsdiff", tableBest: 50, reference: 40}
	for _, tt := range []struct {
		name      string
		c         oneCase
		results   map[string]toolResult
		best      int64
		tool      string
		fromTable bool
	}{
		{"no tools", pair, nil, 50, "bsdiff", true},
		{"one tool, worse than the table", pair, map[string]toolResult{"xdelta3": {bytes: 60}}, 50, "bsdiff", true},
		{"one tool, better than the table", pair, map[string]toolResult{"xdelta3": {bytes: 45}}, 45, "xdelta3", false},
		{
			"all tools, worse than the table", pair,
			map[string]toolResult{"xdelta3": {bytes: 60}, "bsdiff": {bytes: 70}, "zstd-patch": {bytes: 80}},
			60, "xdelta3", false,
		},
		{
			"unrelated files",
			oneCase{kind: unrelatedCase},
			map[string]toolResult{"xdelta3": {bytes: 60}, "zstd": {bytes: 70}},
			70, "zstd", false,
		},
	} {
		r := newRow(tt.c, files{full: 100})
		r.addTools(tt.results)
		if r.Best != tt.best || r.BestTool != tt.tool || r.BestFromTable != tt.fromTable {
			t.Errorf("%s: best %d of %s, from the table %v", tt.name, r.Best, r.BestTool, r.BestFromTable)
		}
	}
}

func TestToolThatFails(t *testing.T) {
	r := newRow(oneCase{kind: pairCase}, files{full: 100})
	r.addTools(map[string]toolResult{"bsdiff": {err: errors.New("out of memory")}})
	if r.verdict() != "FAILED" || (&report{Rows: []row{r}}).failure() == nil {
		t.Error("a tool failed and nobody says so")
	}
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		row    row
		c      oneCase
		target int64
		good   bool
	}{
		{"smaller than both", row{Full: 100, Best: 50, Reference: 40, Delta: 40}, oneCase{}, 40, true},
		{"larger than the reference", row{Full: 100, Best: 50, Reference: 40, Delta: 41}, oneCase{}, 40, false},
		{"the best tool beats the reference", row{Full: 100, Best: 30, Reference: 40, Delta: 35}, oneCase{}, 30, false},
		{"a promised share", row{Full: 1000, Best: 50, Delta: 11}, oneCase{limit: 0.01}, 10, false},
		{"nothing to compare with", row{Full: 100, Delta: 99}, oneCase{}, 0, true},
		{"unrelated, just so", row{Full: 5000, Best: 4000, Delta: 4068}, oneCase{kind: unrelatedCase}, 4068, true},
		{"unrelated, a byte too many", row{Full: 5000, Best: 4000, Delta: 4069}, oneCase{kind: unrelatedCase}, 4068, false},
		{"too much memory", row{Full: 100, Delta: 1, PeakDecode: memoryTarget}, oneCase{}, 0, false},
		{
			"fast enough",
			row{Full: 1e6, SecondsEncode: 1, SecondsDecode: 0.5},
			oneCase{speed: &speedCase{encodeRate: 1e6, decodeRate: 2e6, within: time.Second}},
			0, true,
		},
		{
			"slow to decode",
			row{Full: 1e6, SecondsEncode: 1, SecondsDecode: 0.6},
			oneCase{speed: &speedCase{encodeRate: 1e6, decodeRate: 2e6}},
			0, false,
		},
		{
			"too late",
			row{Full: 1e6, SecondsEncode: 2, SecondsDecode: 0.6},
			oneCase{speed: &speedCase{within: time.Second}},
			0, false,
		},
	} {
		tt.row.judge(tt.c)
		if tt.row.Target != tt.target || (len(tt.row.Misses) == 0) != tt.good {
			t.Errorf("%s: target %d, misses %q", tt.name, tt.row.Target, tt.row.Misses)
		}
	}
}

func TestTable(t *testing.T) {
	r := &report{Rows: []row{
		{
			Name: "p", Kind: pairCase, Full: 4_000_000, Tools: map[string]int64{"zstd-patch": 2_000_000, "xdelta3": 2_500_000},
			Best: 1_000_000, BestFromTable: true, Reference: 800_000, Target: 800_000, Delta: 600_000, SecondsEncode: 2, SecondsDecode: 1, PeakEncode: 64 << 20,
		},
		{Name: "speed/x", Kind: speedKind, What: "all of it", Full: 8_000_000, Delta: 7, SecondsEncode: 4, SecondsDecode: 0.5, Misses: []string{"too slow"}},
		{Name: "readme/y", Kind: classCase, Full: 100, Problems: []string{"decoded file differs"}},
	}}
	r.sum()
	var out bytes.Buffer
	if err := r.writeTable(&out); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"4000000 2000000 2500000 - 1000000* 800000 600000 0.600 0.750 0.150 2.0 4.0 64 good p",
		"8000000 7 4.00 0.50 2.0 16.0 - - misses speed/x: all of it",
		"misses speed/x: too slow",
		"FAILED readme/y: decoded file differs",
		"PAIRS.tsv, 1 pairs: ours 600000 / best tools 1000000 = 0.600, target 0.80: good",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if err := r.failure(); err == nil || !strings.Contains(err.Error(), "readme/y") {
		t.Errorf("failure %v", err)
	}
	out.Reset()
	if err := r.writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Sum.Ratio != 0.6 || got.Rows[0].Delta != 600_000 {
		t.Errorf("JSON %v: %s", err, out.String())
	}
}
