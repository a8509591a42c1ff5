package node

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
)

func wantOf(t *testing.T, m manifest.Model, text string) want {
	t.Helper()
	block, err := manifest.Encode(&manifest.Layout{Schema: manifest.Schema, Format: text, Chunk: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	return want{Release: store.Release{Model: m, Version: text, Manifest: block.CID}, purpose: toRun}
}

// Failures are left alone for longer each time, up to a bound; a missing room is
// looked for often; a word of the operator forgives all.
func TestRetries(t *testing.T) {
	r, w := newRetries(), wantOf(t, "acme/vad", "a")
	if !r.until(w.Manifest).IsZero() {
		t.Error("waits before a failure")
	}
	for _, want := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
		if got := r.failed(w, errors.New("no luck"), noon); got != want*time.Second || !r.until(w.Manifest).Equal(noon.Add(got)) {
			t.Errorf("waits %s until %s, want %d s", got, r.until(w.Manifest), want)
		}
	}
	full := fmt.Errorf("fetch: %w: %w", transfer.ErrStore, store.ErrFull)
	for range 3 {
		if got := r.failed(w, full, noon); got != roomRetry {
			t.Errorf("waits %s for room", got)
		}
	}
	r.forgive(func(m manifest.Model) bool { return m == "acme/asr" })
	if r.until(w.Manifest).IsZero() {
		t.Error("forgave another model")
	}
	r.forgive(func(m manifest.Model) bool { return m == "acme/vad" })
	if !r.until(w.Manifest).IsZero() || r.failed(w, full, noon) != firstRetry {
		t.Error("not forgiven")
	}
	r.done(w.Manifest)
	r.later(w, noon)
	if !r.until(w.Manifest).Equal(noon) || r.failed(w, full, noon) != firstRetry {
		t.Error("giving up a turn counts as a failure")
	}
	other := wantOf(t, "acme/asr", "b")
	r.later(other, noon)
	r.keepOnly(map[manifest.CID]want{other.Manifest: other})
	if !r.until(w.Manifest).IsZero() || len(r.waits) != 1 {
		t.Error("remembers what is not wanted")
	}
}

func TestFinal(t *testing.T) {
	for _, err := range []error{modelrt.ErrLoad, modelrt.ErrProbe, modelrt.ErrQuarantined, manifest.ErrFormat, transfer.ErrManifest, store.ErrMismatch, errWrongModel, errNoVariant} {
		if !final(fmt.Errorf("obtain: %w", err)) {
			t.Errorf("%v is tried again for ever", err)
		}
	}
	for _, err := range []error{store.ErrFull, store.ErrCorrupt, transfer.ErrStopped, modelrt.ErrState, errors.New("disk")} {
		if final(err) {
			t.Errorf("%v is given up", err)
		}
	}
}

// What is to run goes before repairs, repairs before what is only carried.
func TestOrderOfWants(t *testing.T) {
	run, repair, carry := want{purpose: toRun}, want{purpose: toRepair}, want{purpose: toCarry}
	run.Model, repair.Model, carry.Model = "z/z", "y/y", "a/a"
	if run.before(repair) >= 0 || repair.before(carry) >= 0 || carry.before(run) <= 0 {
		t.Error("order is another")
	}
}
