package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// flock is n nodes with one model each.
func flock(n int) []api.FleetNode {
	nodes := make([]api.FleetNode, n)
	for i := range nodes {
		nodes[i] = api.FleetNode{
			PeerID: fmt.Sprintf("12D3KooWxxxxxxxx%04d", i), Site: fmt.Sprintf("site-%d", i/3), AgeSeconds: float64(i),
			Links: api.FleetLinks{OutsideIn: uint64(1000 * i)}, DiskFreeBytes: 5e9,
			Models: []api.FleetModel{{Model: "acme/vad", Held: "1", HeldSequence: 1, Wanted: "2", Active: "1", Serving: true, State: api.StateFetching, Progress: 0.25}},
		}
	}
	nodes[0].Self, nodes[1].Connected = true, true
	return nodes
}

func TestPrintFleet(t *testing.T) {
	nodes := flock(3)
	nodes[2].Models = append(nodes[2].Models, api.FleetModel{Model: "acme/ocr", Active: "7", State: api.StateFailed, Reason: "no memory"})
	nodes[2].Omitted = 5
	nodes = append(nodes, api.FleetNode{PeerID: "x", AgeSeconds: 3 * 86400})
	var out bytes.Buffer
	printFleet(&out, nodes)
	squeezed := strings.Join(strings.FieldsFunc(out.String(), func(r rune) bool { return r == ' ' }), " ")
	for _, want := range []string{
		"SITE NODE MODEL HELD WANTED ACTIVE STATE OUTSIDE IN/OUT INSIDE IN/OUT FREE AGE NOTE",
		"site-0 xxxx0000* acme/vad 1 2 1 fetching 25% 0 B/0 B 0 B/0 B 5.0 GB now -",
		"site-0 xxxx0001+ acme/vad 1 2 1 fetching 25% 1.0 kB/0 B",
		"acme/ocr - - 7 (not loaded) failed 2.0 kB/0 B 0 B/0 B 5.0 GB 2 s no memory and 5 models more",
		"- x - - - - - 0 B/0 B 0 B/0 B 0 B 3 d -",
		"4 nodes at 2 sites, 3 fetching, 1 failed",
	} {
		if !strings.Contains(squeezed, want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if left := onlyModel(nodes, "acme/ocr"); len(left) != 1 || len(left[0].Models) != 1 || len(nodes[2].Models) != 2 {
		t.Errorf("only acme/ocr: %+v", left)
	}
}

func TestParseKeys(t *testing.T) {
	got := parseKeys([]byte("\x1b[A\x1bOBsä\x1b[6~\x1b[99zrG\x03"))
	// Of an unknown sequence its letters count, like those of an unknown key.
	want := []key{keyUp, keyDown, keySort, keyPageDown, keyReverse, keyEnd, keyQuit}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Whatever is pressed, the screen is never longer or wider than the terminal,
// and what is scrolled to is there.
func TestTopView(t *testing.T) {
	v := &topView{nodes: flock(50), width: 60, height: 13}
	first := func() string { return v.draw()[3] }
	if !strings.Contains(first(), "xxxx0000") {
		t.Errorf("begins with %q", first())
	}
	for k, want := range map[key]string{keyDown: "xxxx0001", keyPageDown: "xxxx0010", keyEnd: "xxxx0040", keyHome: "xxxx0000", keyUp: "xxxx0000"} {
		v.offset = 0
		if v.press(k) {
			t.Fatal("quits")
		}
		if !strings.Contains(first(), want) {
			t.Errorf("key %d: begins with %q, want %s", k, first(), want)
		}
	}
	v.press(keyHome)
	v.press(keySortBack) // by age
	v.press(keyReverse)
	if got := first(); !strings.Contains(got, "xxxx0049") {
		t.Errorf("oldest first begins with %q", got)
	}
	if !v.press(keyQuit) {
		t.Error("q does not quit")
	}
	for _, size := range [][2]int{{60, 13}, {1, 1}, {10, 3}, {500, 200}} {
		v.width, v.height = size[0], size[1]
		for k := range keyReverse + 1 {
			v.press(k)
			lines := v.draw()
			if len(lines) > v.height {
				t.Errorf("%v: %d lines", size, len(lines))
			}
			for _, l := range lines {
				if len([]rune(l)) > v.width {
					t.Errorf("%v: %q", size, l)
				}
			}
		}
	}
	v.nodes = nil
	v.draw()
}

func TestAge(t *testing.T) {
	for seconds, want := range map[float64]string{0.2: "now", 59: "59 s", 61: "1 min", 7200: "2 h", 180000: "2 d"} {
		if got := age(seconds); got != want {
			t.Errorf("%g: %q, want %q", seconds, got, want)
		}
	}
}

func known(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: known DIR SITE:STATE")
	}
	site, state, _ := strings.Cut(args[1], ":")
	var nodes []api.FleetNode
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		c, ok := api.Dial(context.Background(), ts.MkAbs(args[0]))
		if !ok {
			ts.Fatalf("no node runs in %s", args[0])
		}
		ts.Check(c.Call(context.Background(), "fleet", nil, &nodes, nil))
		for _, n := range nodes {
			if n.Site == site && slices.ContainsFunc(n.Models, func(m api.FleetModel) bool { return string(m.State) == state }) {
				return
			}
		}
	}
	ts.Fatalf("%s is not known of: %+v", args[1], nodes)
}
