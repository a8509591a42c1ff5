package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/program"
)

func TestLoadCountsAndMeasures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(context.Context) error { time.Sleep(10 * time.Millisecond); return nil }
		bad := func(context.Context) error { time.Sleep(100 * time.Millisecond); return io.ErrUnexpectedEOF }
		l := generate(t.Context(), []caller{slow, slow, bad}, time.Second, nil)
		if l.Requests != 200 || l.Failed != 10 || l.PerSecond != 200 || l.P50 != 0.01 || l.P99 != 0.01 || !errors.Is(l.failure, io.ErrUnexpectedEOF) {
			t.Errorf("measured %+v", l)
		}
		done := make(chan struct{})
		close(done)
		if l := generate(t.Context(), []caller{slow}, time.Hour, done); l.Requests != 0 {
			t.Errorf("after the end: %+v", l)
		}
	})
}

func TestTableMarksWhatMisses(t *testing.T) {
	r := report{Clients: []int{1}, Models: []row{
		{Model: "acme/ocr", Large: true, Systems: map[string][]load{
			systemDirect: {{PerSecond: 100, P50: 0.01}}, systemGRPC: {{PerSecond: 95}}, systemREST: {{PerSecond: 50}},
		}},
		{Model: "acme/vad", Systems: map[string][]load{
			systemDirect: {{PerSecond: 1000, P50: 100e-6}}, systemGRPC: {{PerSecond: 800, P50: 250e-6}}, systemRaw: {{PerSecond: 500}},
		}},
	}, Swaps: &swaps{Count: 2, Before: load{P99: 0.001}, During: load{Requests: 9, Failed: 1, P99: 0.0015, failure: io.EOF}}}
	var out bytes.Buffer
	if err := r.writeTable(&out); err != nil {
		t.Fatal(err)
	}
	for want, verdict := range map[string]string{
		"acme/ocr, grpc by direct": "good", "acme/ocr, rest_binary by direct": "MISSED", "acme/vad, grpc by fastapi_raw": "MISSED",
		"acme/vad, grpc over direct": "good", "requests failed": "MISSED", "p99 during swaps": "good",
	} {
		found := false
		for line := range strings.Lines(out.String()) {
			found = found || strings.Contains(line, want) && strings.Contains(line, verdict)
		}
		if !found {
			t.Errorf("no line says %q of %q:\n%s", verdict, want, out.String())
		}
	}
	if err := r.failure(); !errors.Is(err, io.EOF) {
		t.Errorf("failure is %v", err)
	}
	out.Reset()
	if err := r.writeJSON(&out); err != nil || !json.Valid(out.Bytes()) {
		t.Errorf("%v: %s", err, out.Bytes())
	}
}

func TestUsage(t *testing.T) {
	none := func(string) string { return "" }
	for _, args := range [][]string{{"x"}, {}, {"-corpus", "c", "-rounds", "0"}, {"-nonsense"}} {
		if _, err := parse(args, none, io.Discard); !errors.Is(err, program.ErrUsage) {
			t.Errorf("%v: %v, want a usage error", args, err)
		}
	}
}
