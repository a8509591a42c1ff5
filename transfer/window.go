package transfer

import "time"

// minEpoch is the least time over which a rate is measured.
const minEpoch = 50 * time.Millisecond

// Gains over the product of bandwidth and delay. In start-up the measured rate
// lags a round trip behind a sender that doubles every round trip, so less
// than 4 would hold it back; afterwards 2 keeps the pipe full while requests
// travel. Start-up ends after three measurements that did not grow by a
// quarter (as in BBR, draft-ietf-ccwg-bbr).
const (
	startupGain  = 4
	steadyGain   = 2
	startupRound = 3
)

// window says how many bytes to have asked of a peer and not received yet: the
// product of its bandwidth and delay, times a gain. While the window is what
// limits, each measurement makes it larger; once the link limits, it stays. It
// is used under the lock of its session.
type window struct {
	least, most int
	rtt         time.Duration // shortest answer seen
	rate        float64       // bytes per second
	start       time.Time     // of the epoch; zero while nothing is asked
	bytes       int           // received in the epoch
	best        float64       // rate when it last grew by a quarter
	flat        int           // measurements since
}

// sample notes that an answer took d.
func (w *window) sample(d time.Duration) {
	if w.rtt == 0 || d < w.rtt {
		w.rtt = max(d, time.Microsecond)
	}
}

// asked notes that there is something to wait for.
func (w *window) asked(now time.Time) {
	if w.start.IsZero() {
		w.start, w.bytes = now, 0
	}
}

// received notes n bytes; idle says that nothing more is asked for.
func (w *window) received(n int, now time.Time, idle bool) {
	if w.start.IsZero() {
		return
	}
	w.bytes += n
	if took := now.Sub(w.start); took >= max(w.rtt, minEpoch) {
		rate := float64(w.bytes) / took.Seconds()
		if w.flat++; rate > w.best*5/4 {
			w.best, w.flat = rate, 0
		}
		if rate < w.rate {
			rate = (3*w.rate + rate) / 4
		}
		w.rate, w.start, w.bytes = rate, now, 0
	}
	if idle {
		w.start = time.Time{}
	}
}

// size returns the window now, in bytes.
func (w *window) size() int {
	gain := float64(steadyGain)
	if w.flat < startupRound {
		gain = startupGain
	}
	product := gain * w.rate * w.rtt.Seconds()
	return int(min(max(product, float64(w.least)), float64(w.most)))
}
