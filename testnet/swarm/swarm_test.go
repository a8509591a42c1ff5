package main

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/program"
	"github.com/dunlin-mesh/dunlin/testnet/lab"
)

// testSettings are those of a short run with the real program.
func testSettings(t *testing.T) *settings {
	t.Helper()
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	binary := filepath.Join(t.TempDir(), "dunlin")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/dunlin").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return &settings{dunlin: binary, timeout: time.Minute, settle: 3 * time.Second, size: 1_000_000}
}

// One copy of a model enters each of two sites of two nodes, and with its
// headers, handshakes and gossip that is no more than 1.3 times what its chunks
// are coded in.
func TestOneCopyForEachSite(t *testing.T) {
	s := testSettings(t)
	w := works[0]
	_, data := w.build(s.size)
	// Of f32 weights drawn from one distribution 0.926 remain, whoever codes them.
	coded := ideal{Bytes: int64(len(data)) * 926 / 1000}
	c := benchCase{name: "short", sites: 2, nodes: 2, rate: 2 * lab.Mbit, preset: "wan"}
	line := &timeline{}
	var story bytes.Buffer
	r, err := s.measure(t.Context(), c, w, coded, &dunlin{binary: s.dunlin, preset: c.preset, line: line}, line, &story)
	if err != nil {
		t.Fatalf("%v\n%s", err, story.String())
	}
	t.Log(r.line())
	for site, n := range r.SiteIn[1:] {
		if most := uint64(coded.Bytes * 13 / 10); n > most {
			t.Errorf("%d bytes entered site %d, want at most %d", n, site+1, most)
		}
		if n < uint64(coded.Bytes*9/10) {
			t.Errorf("%d bytes entered site %d, which is less than there is in the model: not all of it came by the uplink", n, site+1)
		}
	}
	if t.Failed() {
		t.Log(story.String())
	}
}

// The tools that are installed work: each brings the file to every node.
func TestTools(t *testing.T) {
	s := testSettings(t)
	c := benchCase{name: "short", sites: 2, nodes: 2, rate: 20 * lab.Mbit, tools: true}
	for _, name := range s.chosen(c) {
		if name == dunlinName {
			continue
		}
		t.Run(name, func(t *testing.T) {
			r, err := s.measure(t.Context(), c, works[1], ideal{Bytes: 50_000}, s.newSystem(name, c, nil), nil, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r.line())
			if used := r.totals(); used.peak < 1 {
				t.Errorf("used %.1f MiB: that was another process", used.peak)
			}
		})
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"x"}, {"-only", "("}, {"-count", "0"}, {"-systems", "floppy"}, {"-idle", "1ms"}, {"-size", "1"}, {"-dark", "-1s"}, {"-nonsense"},
	} {
		var said strings.Builder
		if err := run(t.Context(), args, io.Discard, &said); !errors.Is(err, program.ErrUsage) {
			t.Errorf("%q: %v, want wrong usage", args, err)
		}
		if said.Len() == 0 {
			t.Errorf("%q: nothing is said about it", args)
		}
	}
}
