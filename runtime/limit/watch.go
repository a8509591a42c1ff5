package limit

import (
	"slices"
	"time"
)

// assumedGrowth is how fast a process is taken to grow at most, in bytes a
// second: one thread that touches new pages manages about half of it.
const assumedGrowth = 2 << 30

// How often a process is looked at.
const (
	minInterval = 5 * time.Millisecond
	maxInterval = 500 * time.Millisecond
)

// interval is how long a process with this much room cannot be over.
func interval(room int64) time.Duration {
	if room <= 0 {
		return minInterval
	}
	seconds := float64(room) / assumedGrowth
	return min(max(time.Duration(seconds*float64(time.Second)), minInterval), maxInterval)
}

// watch kills the child once it takes more than limit bytes, and returns then,
// or when stop is closed.
func (p *Process) watch(limit int64, stop <-chan struct{}) {
	timer := time.NewTimer(minInterval)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		own := memoryOf(p.cmd.Process.Pid).Own
		p.peak.Store(max(p.peak.Load(), own))
		if own > limit {
			p.over.Store(own)
			_ = p.Kill() // fails only where it is gone already
			return
		}
		timer.Reset(interval(limit - own))
	}
}

// parseStatus reads the lines of a /proc/PID/status that tell about memory, in
// KiB; lines that are not there count as 0, as for a zombie.
func parseStatus(text []byte) Memory {
	var m Memory
	for len(text) > 0 {
		line := text
		if at := slices.Index(text, '\n'); at >= 0 {
			line, text = text[:at], text[at+1:]
		} else {
			text = nil
		}
		colon := slices.Index(line, ':')
		if colon < 0 {
			continue
		}
		switch string(line[:colon]) {
		case "VmRSS":
			m.Resident += kibibytes(line[colon+1:])
		case "RssAnon", "RssShmem", "VmSwap":
			m.Own += kibibytes(line[colon+1:])
		}
	}
	return m
}

// kibibytes reads a number such as "\t    1234 kB", in bytes. What does not fit
// is no number that the kernel writes, and counts as 0.
func kibibytes(text []byte) int64 {
	var n int64
	for _, b := range text {
		if b < '0' || b > '9' {
			continue
		}
		if n > 1<<36 {
			return 0
		}
		n = n*10 + int64(b-'0')
	}
	return n << 10
}
