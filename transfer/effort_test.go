package transfer

import (
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/codec"
)

// A link as effort sees it: chunks of 128 KiB, coded at 5 MB/s when strong and at
// 200 MB/s when fast, the time of sending one, and the bytes that buffers take.
type effortLink struct {
	send   time.Duration
	buffer int
}

// serve sends chunks, coding the next one while the last is under way, and says
// how many of them were strong. pause is what the peer waits before each.
func (l effortLink) serve(e *effort, now *time.Time, chunks int, pause time.Duration) (strong int) {
	const bytes = 128 << 10
	free := *now // when the link has sent all
	for range chunks {
		*now = now.Add(pause)
		with, took := e.pick(WAN), bytes*time.Second/200e6
		if with == codec.Strong {
			took = bytes * time.Second / 5e6
			strong++
		}
		*now = now.Add(took)
		e.coded(with, bytes, took)
		// The write waits until all but the buffers' part is sent.
		if free.Before(*now) {
			free = *now
		}
		free = free.Add(l.send)
		if held := time.Duration(l.buffer/bytes) * l.send; free.Add(-held).After(*now) {
			*now = free.Add(-held)
		}
		e.sent(bytes, *now)
	}
	return strong
}

func chunkAt(bitsPerSecond int) time.Duration {
	return 128 << 10 * 8 * time.Second / time.Duration(bitsPerSecond)
}

func TestEffortFollowsTheClass(t *testing.T) {
	var e effort
	for link, want := range map[Link]codec.Effort{LAN: codec.Light, WAN: codec.Strong, Narrow: codec.Strong, Satellite: codec.Strong} {
		if got := e.pick(link); got != want {
			t.Errorf("%s: effort %d, want %d", link, got, want)
		}
	}
	e.fast = true
	if e.pick(Narrow) != codec.Strong || e.pick(Satellite) != codec.Strong {
		t.Error("where bytes cost money time is saved")
	}
}

// On a slow WAN all is strong, from the first chunk on, whatever buffers and
// peers make of it; on a fast one about a MiB is.
func TestEffortOnWAN(t *testing.T) {
	for _, tt := range []struct {
		name        string
		link        effortLink
		pause       time.Duration
		least, most int // strong ones of 100
	}{
		{"64 kbit/s", effortLink{chunkAt(64e3), 512 << 10}, 0, 100, 100},
		{"1 Mbit/s", effortLink{chunkAt(1e6), 128 << 10}, 0, 100, 100},
		{"1 Mbit/s, deep buffers", effortLink{chunkAt(1e6), 1 << 20}, 0, 100, 100},
		{"1 Mbit/s, all in buffers, a peer that waits", effortLink{chunkAt(1e6), 16 << 20}, chunkAt(1e6), 100, 100},
		{"10 Mbit/s", effortLink{chunkAt(10e6), 512 << 10}, 0, 100, 100},
		{"100 Mbit/s", effortLink{chunkAt(100e6), 512 << 10}, 0, 1, 12},
		{"1 Gbit/s", effortLink{chunkAt(1e9), 512 << 10}, 0, 1, 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e effort
			now := time.Unix(1, 0)
			if got := tt.link.serve(&e, &now, 100, tt.pause); got < tt.least || got > tt.most {
				t.Errorf("%d of 100 chunks are strong, want %d to %d", got, tt.least, tt.most)
			}
		})
	}
}

// Links change: effort follows within some chunks, and a pause is forgotten.
func TestEffortChanges(t *testing.T) {
	var e effort
	now := time.Unix(1, 0)
	fast, slow := effortLink{chunkAt(1e9), 128 << 10}, effortLink{chunkAt(1e6), 128 << 10}
	fast.serve(&e, &now, 50, 0)
	if e.pick(WAN) != codec.Fast {
		t.Fatal("a fast WAN is slowed by strong coding")
	}
	if got := slow.serve(&e, &now, 50, 0); got < 47 {
		t.Errorf("%d of 50 chunks are strong after the link became slow", got)
	}
	if got := fast.serve(&e, &now, 50, 0); got > 15 {
		t.Errorf("%d of 50 chunks are strong after it became fast", got)
	}
	now = now.Add(time.Hour)
	if got := fast.serve(&e, &now, 50, 0); got > 8 {
		t.Errorf("%d of 50 chunks are strong after a pause", got)
	}
}
