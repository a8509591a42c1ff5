package links

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/internal/raced"
)

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if raced.Enabled { // golang/go#78156
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	synctest.Test(t, f)
}

// TestBucketKeepsRate: over any stretch of time no more passes than rate times
// time, a burst, and the piece that ends it; and no time is wasted while
// somebody waits.
func TestBucketKeepsRate(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := Rate(rapid.SampledFrom([]int64{300, 9600, 64_000, 1_000_000, 100_000_000}).Draw(rt, "rate"))
		sizes := rapid.SliceOfN(rapid.IntRange(1, 64<<10), 1, 40).Draw(rt, "sizes")
		pauses := rapid.SliceOfN(rapid.IntRange(0, 3000), len(sizes), len(sizes)).Draw(rt, "pauses")
		bubble(t, func(*testing.T) {
			var b bucket
			b.set(rate)
			type event struct {
				at time.Duration
				n  int
			}
			var passed []event
			start := time.Now()
			for i, n := range sizes {
				time.Sleep(b.take(n))
				passed = append(passed, event{time.Since(start), n})
				time.Sleep(time.Duration(pauses[i]) * time.Millisecond)
			}
			perSecond, burst := float64(rate)/8, max(float64(rate)/32, leastBurst)
			for i := range passed {
				sum := 0
				for _, e := range passed[i:] {
					sum += e.n
					// Those of the first event passed at its end, so they do not count.
					if most := (e.at-passed[i].at).Seconds()*perSecond + burst + float64(passed[i].n) + 1; float64(sum) > most {
						rt.Fatalf("%d bytes passed from %s to %s, at most %.0f", sum, passed[i].at, e.at, most)
					}
				}
			}
			total, idle := 0, time.Duration(0)
			for i, n := range sizes {
				total, idle = total+n, idle+time.Duration(pauses[i])*time.Millisecond
			}
			if least := time.Duration((float64(total) / perSecond) * float64(time.Second)); passed[len(passed)-1].at > least+idle+time.Second {
				rt.Fatalf("took %s for what takes %s and pauses of %s", passed[len(passed)-1].at, least, idle)
			}
		})
	})
}

func TestBucketWithoutRate(t *testing.T) {
	var b bucket
	b.set(0)
	if wait := b.take(1 << 30); wait != 0 || b.piece(1<<16) != 1<<16 {
		t.Errorf("waits %s, pieces of %d", wait, b.piece(1<<16))
	}
}

// TestRateChangesWhileOwed: what was taken at the old rate is paid at the new.
func TestRateChangesWhileOwed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var b bucket
		b.set(8000) // 1000 bytes a second
		b.take(leastBurst + 10_000)
		b.set(80_000)
		if wait := b.take(0); wait < 900*time.Millisecond || wait > 1100*time.Millisecond {
			t.Errorf("10 kB owed at 10 kB/s: %s", wait)
		}
	})
}
