package sections

import "encoding/binary"

const (
	// repeatBytes is the shortest repetition that counts. Elements of few bits
	// repeat by chance in four bytes, hardly in eight.
	repeatBytes = 8
	// repeatBits is what a repetition costs: where and how long.
	repeatBits  = 20
	repeatSlots = 1 << 11
)

// bytes is the cost of bytes that are no array: entropy of order 0, and
// repetitions within the window, as graphs, tables of names and text have.
func (s *scanner) bytes(t *tally, window []byte) int {
	h := &t.plane[0]
	order0 := s.logs.entropy(s.logs.total(h[:]))
	if order0 > t.n*15*unit/2 || t.n < 2*repeatBytes {
		return order0
	}
	// The literals' lengths. What repetitions cover counts, too: near enough.
	var length [256]int
	for b, c := range h {
		if c > 0 {
			length[b] = int(s.logs.log[t.n] - s.logs.log[c])
		}
	}
	clear(s.seen[:])
	sum, at := order0, 0
	for end := len(window) - repeatBytes; at <= end; {
		v := binary.LittleEndian.Uint64(window[at:])
		slot := &s.seen[v*0x9e3779b97f4a7c15>>(64-11)]
		from := int(*slot) - 1
		*slot = uint16(at + 1)
		if from < 0 || binary.LittleEndian.Uint64(window[from:]) != v {
			at++
			continue
		}
		saved, n := 0, 0
		for ; at+n < len(window) && window[from+n] == window[at+n]; n++ {
			saved += length[window[at+n]]
		}
		if saved > repeatBits*unit {
			sum -= saved - repeatBits*unit
		}
		at += n
	}
	return max(sum, 0)
}
