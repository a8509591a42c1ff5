package text

import (
	"context"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

const (
	minModelBits = 12 // of the number of buckets of each context
	maxModelBits = 15

	maxTotal = 1 << 40

	patience = 4 << 10 // bytes that are coded between two looks at the context
)

// Model codes runs of bytes, one after the other, and keeps what it learned. It
// is not safe for concurrent use.
type Model struct {
	old  *Old
	h    *history
	gaze gaze

	follow follower
	remote match // the longest match anywhere in old
	own    match // and in what was coded

	tables [contexts]table
	maps   [contexts][256]mix.Slot // what states foretell
	order1 [256][256]mix.Slot      // by the last byte and the bits known
	ctx    [contexts]uint32        // hashes
	bucket [contexts]*bucket       // of this half of a byte
	mixer  combiner
	apm    *apm

	sure  sure
	doubt doubt

	ahead                uint32 // the next four bytes of old
	primedFrom, primedTo int64  // of old, the last that was taught
}

// NewModel returns a model that codes runs of total bytes together against old,
// nil for none. The total need only be about right, but the encoding and the
// decoding side must give the same: it scales the tables and how much of old is
// indexed at first. A model takes 1.2 MiB for a few bytes and 8 MiB at most.
func NewModel(old *Old, total int64) *Model {
	total = min(max(total, 0), maxTotal)
	m := &Model{old: old, h: newHistory(total), apm: newAPM(3 << 8)}
	if old != nil {
		old.index.credit += min(total*totalCredit, mostCredit)
	}
	b := min(max(bits.Len64(uint64(total)), minModelBits), maxModelBits)
	for i := range m.tables {
		m.tables[i] = newTable(b)
		m.maps[i] = history8.prior
	}
	for i := range m.order1 {
		mix.Fill(m.order1[i][:])
	}
	m.follow.init()
	m.remote.init()
	m.own.init()
	m.mixer.init()
	m.sure.init()
	return m
}

// Code codes b: an encoder c codes its bytes, a decoder fills it. hint is the
// offset in old where the run probably continues, -1 if that is not known; any
// value is allowed and wrong ones only cost bytes.
//
// It returns [mix.ErrEnd] if a decoder's input is too short, the error of
// reading old if there was one, and ctx's within a few thousand bytes of its
// end; b is then worth nothing and neither is the model.
func (m *Model) Code(ctx context.Context, c *mix.Coder, hint int64, b []byte) error {
	if m.old != nil {
		m.old.Hint(hint)
		m.follow.start(m.old, hint)
		m.old.grow(0)
		m.prime(hint, len(b))
	}
	for i := range b {
		if i%patience == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if m.doubt.raw > 0 {
			b[i] = m.rawByte(c, b[i])
			continue
		}
		m.expect()
		if got, ok := m.sureByte(c, b[i]); ok {
			b[i] = got
			m.teachOrder1(byte(m.gaze.tail), got)
		} else {
			m.setContexts()
			b[i] = m.code(c, b[i])
			m.doubt.judge()
		}
		m.end(b[i])
	}
	if m.old != nil && m.old.err != nil {
		return m.old.err
	}
	return c.Err()
}

// expect asks the matches what they foretell.
func (m *Model) expect() {
	if m.own.pos >= 0 && m.h.n-m.own.pos < m.h.mask {
		m.own.begin(m.h.at(m.own.pos))
	} else {
		m.own.none()
	}
	if m.old == nil {
		return
	}
	m.ahead = 0
	if m.follow.pos >= 0 {
		m.follow.begin(m.old.at(m.follow.pos))
		at := m.follow.pos
		if m.follow.lost {
			at = m.follow.anchor
		}
		for i := range int64(4) {
			m.ahead = m.ahead<<8 | uint32(m.old.at(at+i))
		}
	} else {
		m.follow.none()
	}
	if m.remote.pos >= 0 {
		m.remote.begin(m.old.at(m.remote.pos))
	} else {
		m.remote.none()
	}
}

// end learns of the byte that came.
func (m *Model) end(b byte) {
	h := m.h
	if m.own.pos >= 0 {
		m.own.update(h.at(m.own.pos), b)
	}
	h.add(b)
	m.gaze.look(b)
	if m.own.length < longMatch {
		pos, n := h.find(longMatch)
		m.own.take(pos, n)
	} else {
		h.find(0) // only to enter it
	}
	if m.old == nil {
		return
	}
	m.old.grow(1)
	if m.remote.pos >= 0 {
		m.remote.update(m.old.at(m.remote.pos), b)
	}
	if m.remote.length < longMatch {
		pos, n := m.old.find(h, longMatch)
		m.remote.take(pos, n)
	}
	m.follow.follow(m.old, h, b, &m.remote)
}
