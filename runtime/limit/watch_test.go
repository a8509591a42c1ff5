package limit

import (
	"testing"
	"time"
)

func TestParseStatus(t *testing.T) {
	const text = "Name:\tx: y\nVmRSS:\t  200 kB\nRssAnon:\t     100 kB\nRssFile:\t      80 kB\nRssShmem:\t      20 kB\nVmSwap:\t       4 kB\nThreads:\t1"
	if got, want := parseStatus([]byte(text)), (Memory{Resident: 200 << 10, Own: 124 << 10}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parseStatus([]byte("State:\tZ (zombie)\n")); got != (Memory{}) {
		t.Errorf("a zombie takes %+v", got)
	}
}

func TestIntervalFollowsTheRoom(t *testing.T) {
	for room, want := range map[int64]time.Duration{
		-1: minInterval, 0: minInterval, 1 << 10: minInterval, 1 << 27: 62500 * time.Microsecond, 1 << 40: maxInterval,
	} {
		if got := interval(room); got != want {
			t.Errorf("with %d bytes of room every %s, want %s", room, got, want)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte("VmRSS:\t  200 kB\nRssAnon:\t 99999999999999999999999 kB\n"))
	f.Add([]byte(":\n:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if m := parseStatus(text); len(text) < 4096 && (m.Own < 0 || m.Resident < 0) {
			t.Errorf("negative: %+v", m)
		}
	})
}
