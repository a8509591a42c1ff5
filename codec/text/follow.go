package text

import (
	"bytes"
	"encoding/binary"
)

const (
	backWindow    = 256  // bytes before the place where the trace was lost
	forwardWindow = 1024 // and after it, in which it is sought again
	seekLen       = 4    // bytes that must agree to take up a trace
	sureLen       = 16   // bytes in a row after which it is no longer doubted
)

// follower walks along the old file beside what is coded. After a byte that
// differs it goes on, as if the byte was replaced, but looks around the place
// for where bytes that were put in or left out would lead.
type follower struct {
	match
	lost   bool
	anchor int64 // where the trace was lost
	window [backWindow + forwardWindow]byte
	at     int64 // of the window, in old
	filled int
}

// start sets the follower on an offset in old, -1 for none.
func (f *follower) start(o *Old, hint int64) {
	f.lost = false
	if hint < 0 || hint >= o.size {
		f.pos = -1
		return
	}
	f.pos, f.length, f.missed = hint, sureLen, 0
}

// follow tells the follower what byte came; other is where the longest match
// found anywhere in old goes on.
func (f *follower) follow(o *Old, h *history, b byte, other *match) {
	before := f.pos
	if f.pos >= 0 {
		f.update(o.at(f.pos), b)
	}
	switch {
	case f.pos < 0:
		if other.pos >= 0 && other.length >= 8 {
			f.pos, f.length, f.missed = other.pos, other.length, other.missed
		}
		return
	case f.length == 0 && !f.lost:
		f.lost, f.anchor = true, before
		f.fill(o)
	}
	if !f.lost {
		return
	}
	if f.length >= sureLen {
		f.lost = false
		return
	}
	if other.pos >= 0 && other.length >= sureLen && other.length > 2*f.length {
		f.pos, f.length, f.missed, f.lost = other.pos, other.length, other.missed, false
		return
	}
	if f.length < seekLen {
		f.seek(o, h)
	}
}

func (f *follower) fill(o *Old) {
	f.at = max(f.anchor-backWindow, 0)
	f.filled = int(min(int64(len(f.window)), o.size-f.at))
	o.read(f.window[:f.filled], f.at)
}

// seek looks in the window for the bytes that came last: the most bytes that
// agree, then the place soonest after the anchor.
func (f *follower) seek(o *Old, h *history) {
	if h.n < seekLen {
		return
	}
	var last [seekLen]byte
	binary.BigEndian.PutUint32(last[:], uint32(h.tail))
	best, bestLen := int64(-1), f.length
	try := func(from, to int) {
		for tries := 0; tries < 8 && from < to; tries++ {
			i := bytes.Index(f.window[from:to], last[:])
			if i < 0 {
				return
			}
			from += i + 1
			pos := f.at + int64(from) - 1 + seekLen
			if n := o.common(pos, h, longMatch); n > bestLen {
				best, bestLen = pos, n
			}
		}
	}
	mid := int(f.anchor - f.at)
	try(max(mid-seekLen+1, 0), f.filled)
	if best < 0 {
		try(0, mid)
	}
	if best >= 0 && best < o.size {
		f.pos, f.length = best, bestLen
	}
}
