package transfer

import (
	"time"

	"github.com/dunlin-mesh/dunlin/codec"
)

// effort picks how hard frames are compressed, so that the larger of sending
// time and coding time is least: Light on a LAN, Strong on links of kbit/s,
// and on a WAN Fast until writes show that the link is slower than strong
// coding. One goroutine uses it.
type effort struct {
	sending float64 // ns per frame byte, smoothed
	coding  float64 // ns per chunk byte of Strong, smoothed; 0 before the first
}

// strongGuess is what strong coding takes per byte before it was measured, on
// a small board; a server takes 10 ns.
const strongGuess = 100

func (e *effort) pick(l Link) codec.Effort {
	coding := e.coding
	if coding == 0 {
		coding = strongGuess
	}
	switch {
	case l == LAN:
		return codec.Light
	case l == WAN && e.sending < 2*coding:
		return codec.Fast
	}
	return codec.Strong
}

func (e *effort) sent(n int, took time.Duration) {
	if n > 0 {
		e.sending = (7*e.sending + float64(took)/float64(n)) / 8
	}
}

func (e *effort) coded(with codec.Effort, n int, took time.Duration) {
	if with != codec.Strong || n == 0 {
		return
	}
	if e.coding == 0 {
		e.coding = float64(took) / float64(n)
	}
	e.coding = (7*e.coding + float64(took)/float64(n)) / 8
}
