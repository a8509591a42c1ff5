package sections

import "math"

// unit is one bit in the fixed-point numbers that costs are counted in.
// Integers, because equal costs must be equal wherever this is computed.
const unit = 64

// logs knows logarithms of small integers.
type logs struct {
	log  [windowBytes + 1]int32 // log2(n), log[0] is 0
	nlog [windowBytes + 1]int32 // n*log2(n)
}

func newLogs() *logs {
	l := new(logs)
	for n := 2; n <= windowBytes; n++ {
		v := math.Log2(float64(n))
		l.log[n] = int32(math.Round(v * unit))
		l.nlog[n] = int32(math.Round(float64(v*float64(n)) * unit))
	}
	return l
}

// of returns log2(v) for any v of at least 1.
func (l *logs) of(v int) int32 {
	shift := int32(0)
	for v > windowBytes {
		v >>= 1
		shift += unit
	}
	return l.log[v] + shift
}

// total is what there is to know about the counts of some symbols.
type total struct {
	n, distinct int
	nlog        int // sum of nlog of the counts
}

// with returns t with n more symbols of a kind that is not in t.
func (l *logs) with(t total, n int) total {
	if n > 0 {
		t.n += n
		t.nlog += int(l.nlog[n])
		t.distinct++
	}
	return t
}

// total sums up the counts in h.
func (l *logs) total(h []uint16) (t total) {
	for _, c := range h {
		t.n += int(c)
		t.nlog += int(l.nlog[c])
		t.distinct += int((uint32(c) + 0xffff) >> 16) // 1 unless c is 0
	}
	return t
}

// entropy returns the bits of the symbols, their statistics included (half a
// logarithm for each count but one as in Rissanen's minimum description length,
// and two bits to say which), but no more than 8 bits a symbol.
func (l *logs) entropy(t total) int {
	return min(int(l.nlog[t.n])-t.nlog+max(t.distinct-1, 0)*(2*unit+int(l.log[t.n])/2), t.n*8*unit)
}

// either returns the bits that say which of n are of one kind and which of the
// other, of which there are a.
func (l *logs) either(n, a int) int {
	return int(l.nlog[n] - l.nlog[a] - l.nlog[n-a])
}
