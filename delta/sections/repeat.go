package sections

import "encoding/binary"

const (
	// repeatBytes is the shortest repetition that counts.
	repeatBytes = 6
	repeatMask  = 1<<(8*repeatBytes) - 1
	// repeatBits is what a repetition costs: where and how long. Elements of few
	// bits repeat by chance, but save no more than that.
	repeatBits  = 18
	repeatSlots = 1 << 11
	// trialBytes is how far repetitions are looked for if there is none.
	trialBytes = 1 << 10
	// noiseBits is the entropy in tenths of a bit above which none is looked for.
	noiseBits = 79
)

// bytes is the cost of the bytes data[from:], if they are no array: entropy of
// order 0, and repetitions, as graphs, tables of names and text have. What was
// seen of data before counts, too, unless from is 1 or less.
func (s *scanner) bytes(t *tally, data []byte, from int) int {
	if from <= 1 {
		clear(s.seen[:])
	}
	h := &t.plane[0]
	order0 := s.logs.entropy(s.logs.total(h[:]))
	if order0 > t.n*noiseBits*unit/10 {
		return order0
	}
	// The literals' lengths. What repetitions cover counts, too: near enough. Zeros
	// save nothing, because runs of them are in arrays, too.
	var length [256]int
	for b, c := range h[1:] {
		if c > 0 {
			length[b+1] = int(s.logs.log[t.n] - s.logs.log[c])
		}
	}
	sum := order0
	// Where nothing was repeated in a while there is no need to go on.
	trial := from + trialBytes
	for at, end := from, len(data)-8; at <= end; {
		if at >= trial {
			if sum == order0 {
				return order0
			}
			trial = len(data)
		}
		v := binary.LittleEndian.Uint64(data[at:]) & repeatMask
		slot := &s.seen[v*0x9e3779b97f4a7c15>>(64-11)]
		seen := int(*slot) - 1
		*slot = uint16(at + 1)
		if seen < 0 || seen >= at || binary.LittleEndian.Uint64(data[seen:])&repeatMask != v {
			at++
			continue
		}
		saved, n := 0, 0
		for ; at+n < len(data) && data[seen+n] == data[at+n]; n++ {
			saved += length[data[at+n]]
		}
		sum -= max(saved-repeatBits*unit, 0)
		at += n
	}
	return max(sum, 0)
}
