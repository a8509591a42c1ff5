package delta

import (
	"context"
)

// Bytes of the old file that stand elsewhere in the new one are found as rsync
// finds them (A. Tridgell, P. Mackerras, 1996): the old file's aligned blocks are indexed by
// a hash that rolls over the new one.
const (
	minBlockBytes = 32
	maxBlocks     = 1 << 19
	hashFactor    = 0x9e3779b1
	matchPiece    = 1 << 20
)

// match is a run of new bytes that stands in the old file.
type match struct{ at, from, size int64 }

// matcher is the index of an old file.
type matcher struct {
	old   *view
	block int64
	power uint32   // hashFactor to the block's length
	table []uint32 // number of a block, from 1; 0: none
	shift int
	x, y  []byte
}

// newMatcher reads the old file. It takes 4 MiB.
func newMatcher(ctx context.Context, old *view) (*matcher, error) {
	m := &matcher{old: old, block: minBlockBytes, power: 1, x: make([]byte, 4<<10), y: make([]byte, 4<<10)}
	for old.size/m.block > maxBlocks {
		m.block *= 2
	}
	for range m.block {
		m.power *= hashFactor
	}
	bits := 8
	for int64(1)<<bits < 2*old.size/m.block {
		bits++
	}
	m.table, m.shift = make([]uint32, 1<<bits), 32-bits
	buf := make([]byte, max(matchPiece, m.block))
	number := uint32(0)
	for at := int64(0); at+m.block <= old.size; at += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := buf[:min(int64(len(buf)), (old.size-at)/m.block*m.block)]
		if err := readFull(old, p, at); err != nil {
			return nil, oldError(err)
		}
		for len(p) > 0 {
			number++
			if !constant(p[:m.block]) {
				m.add(rolling(p[:m.block]), number)
			}
			p = p[m.block:]
		}
	}
	return m, nil
}

// add enters a block where there is room within a few places; of many equal
// blocks the first ones stay.
func (m *matcher) add(h, number uint32) {
	slot := h * 0x85ebca6b >> m.shift
	for range 8 {
		if m.table[slot] == 0 {
			m.table[slot] = number
			return
		}
		slot = (slot + 1) & uint32(len(m.table)-1)
	}
}

func rolling(p []byte) (h uint32) {
	for _, b := range p {
		h = h*hashFactor + uint32(b) + 1
	}
	return h
}

func constant(p []byte) bool {
	for _, b := range p[1:] {
		if b != p[0] {
			return false
		}
	}
	return true
}

// find returns the runs of at least least bytes of next, from at on, that stand
// in the old file; they are in order and do not overlap.
func (m *matcher) find(ctx context.Context, next *view, at, size, least int64) ([]match, error) {
	var found []match
	buf := make([]byte, min(size, matchPiece+m.block))
	end := at + size
	done := at // what comes before belongs to a match
	for start := at; start+m.block <= end; start += matchPiece {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := buf[:min(end-start, matchPiece+m.block)]
		if start+int64(len(p)) <= done {
			continue
		}
		if err := readFull(next, p, start); err != nil {
			return nil, newError(err)
		}
		i := max(done-start, 0)
		if i+m.block > int64(len(p)) {
			continue
		}
		h := rolling(p[i : i+m.block])
		for {
			best, err := m.longest(next, h, p[i:i+m.block], start+i, done, end)
			if err != nil {
				return nil, err
			}
			if best.size >= least {
				found = append(found, best)
				done = best.at + best.size
				if i = done - start; i+m.block > int64(len(p)) {
					break
				}
				h = rolling(p[i : i+m.block])
				continue
			}
			if i+m.block >= int64(len(p)) {
				break
			}
			h = h*hashFactor + uint32(p[i+m.block]) + 1 - (uint32(p[i])+1)*m.power
			i++
		}
	}
	return found, nil
}

// longest returns the longest match around the block at offset at of next, no
// further than low and high.
func (m *matcher) longest(next *view, h uint32, block []byte, at, low, high int64) (best match, err error) {
	slot := h * 0x85ebca6b >> m.shift
	for range 8 {
		number := m.table[slot]
		if number == 0 {
			return best, nil
		}
		from := int64(number-1) * m.block
		slot = (slot + 1) & uint32(len(m.table)-1)
		// A first look decides most cases: other blocks share the slot.
		look := m.x[:min(m.block, 32)]
		if err := readFull(m.old, look, from); err != nil {
			return best, oldError(err)
		}
		if string(look) != string(block[:len(look)]) {
			continue
		}
		ahead, err := m.ahead(next, at, from, high)
		if err != nil {
			return best, err
		}
		if ahead < m.block {
			continue
		}
		back, err := m.back(next, at, from, low)
		if err != nil {
			return best, err
		}
		if ahead+back > best.size {
			best = match{at - back, from - back, ahead + back}
		}
	}
	return best, nil
}

// ahead returns how many bytes from at and from on are equal.
func (m *matcher) ahead(next *view, at, from, high int64) (n int64, err error) {
	for {
		want := min(int64(len(m.x)), high-at-n, m.old.size-from-n)
		if want <= 0 {
			return n, nil
		}
		if err := readFull(next, m.x[:want], at+n); err != nil {
			return 0, newError(err)
		}
		if err := readFull(m.old, m.y[:want], from+n); err != nil {
			return 0, oldError(err)
		}
		for i := range want {
			if m.x[i] != m.y[i] {
				return n + i, nil
			}
		}
		n += want
	}
}

// back returns how many bytes before at and from are equal.
func (m *matcher) back(next *view, at, from, low int64) (n int64, err error) {
	for {
		want := min(int64(len(m.x)), at-n-low, from-n)
		if want <= 0 {
			return n, nil
		}
		if err := readFull(next, m.x[:want], at-n-want); err != nil {
			return 0, newError(err)
		}
		if err := readFull(m.old, m.y[:want], from-n-want); err != nil {
			return 0, oldError(err)
		}
		for i := range want {
			if m.x[want-1-i] != m.y[want-1-i] {
				return n + i, nil
			}
		}
		n += want
	}
}
