package transfer

import (
	"context"
	"testing"
	"time"
)

// TestSurveyCreditsPart: what came of a delta that was cut off is not asked for
// again, and a survey says how much that is.
func TestSurveyCreditsPart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v1, v2 := updated(t, 3, 2<<20)
		l := link{2 * mbit, 20 * time.Millisecond}
		hosts := simHosts(t, l, l)
		coder := &fakeCoder{}
		a := deltaNode(t, hosts[0], both(v1, v2), coder)
		store, dir := onlyOld(v1, v2), t.TempDir()
		b := newNode(t, hosts[1], store, withDeltas(t, store, coder, dir))
		meet(t, a, b)
		survey := func() Surveyed {
			t.Helper()
			found, err := b.Survey(within(t, time.Minute), v2.manifest.CID, v2.files[0], jobOf(v1, v2).Bases)
			if err != nil || len(found) != 1 || !found[0].Delta {
				t.Fatalf("%+v, %v", found, err)
			}
			return found[0]
		}
		if got := survey(); got.PartBytes != 0 {
			t.Errorf("%+v before anything came", got)
		}
		ctx, cancel := context.WithTimeout(within(t, time.Hour), 3*time.Second)
		defer cancel()
		cut, err := b.Delta(ctx, jobOf(v1, v2))
		if err == nil || cut.Received == 0 {
			t.Fatalf("not cut off: %+v, %v", cut, err)
		}
		got := survey()
		if got.PartBytes == 0 || got.PartBytes > cut.Received || got.DeltaBytes != uint64(deltaSize(v2)) {
			t.Errorf("%+v after %d bytes came", got, cut.Received)
		}
		rest, err := b.Delta(within(t, time.Hour), jobOf(v1, v2))
		if err != nil {
			t.Fatal(err)
		}
		if rest.Received != got.DeltaBytes-got.PartBytes {
			t.Errorf("%d bytes came, the survey said %d of %d are here", rest.Received, got.PartBytes, got.DeltaBytes)
		}
		b.stop()
		a.stop()
	})
}
