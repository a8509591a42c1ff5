package codec

import (
	"encoding/binary"
	"math/bits"
)

const (
	// guessLeast is the least segment of class Other that is looked at for
	// numbers, guessPiece how much of it is one kind. Part of the format.
	guessLeast = 4 << 10
	guessPiece = 16 << 10
)

// retyped says whether a mixed frame tells what kinds of numbers a segment has.
func retyped(s Segment) bool { return s.Class == Other && s.Bytes >= guessLeast }

// pieces returns into how many pieces a segment of so many bytes is cut, the
// last one longer than the others.
func pieces(length int) int { return max(length/guessPiece, 1) }

// kind is what a piece holds: a class in the low four bits, above them the bytes
// before its first whole element.
func kind(c Class, phase int) byte { return byte(c) | byte(phase)<<4 }

// retype appends the segments that a segment of length bytes falls into, one
// kind for each piece: neighbours of one kind are one array. It returns false
// for kinds that there are not.
func retype(segs []Segment, length int, kinds []byte) ([]Segment, bool) {
	add := func(c Class, n int) {
		if n > 0 {
			segs = append(segs, Segment{Class: c, Bytes: n})
		}
	}
	for i := 0; i < len(kinds); {
		next := i + 1
		for next < len(kinds) && kinds[next] == kinds[i] {
			next++
		}
		n := (next - i) * guessPiece
		if next == len(kinds) {
			n = length
		}
		length -= n
		c, phase := Class(kinds[i]&15), int(kinds[i]>>4)
		if !modelled(c) || c == Int8 || phase >= c.Width() {
			return segs, false
		}
		body := (n - phase) / c.Width() * c.Width()
		add(Other, phase)
		add(c, body)
		add(Other, n-phase-body)
		i = next
	}
	return segs, true
}

// appendKinds appends what the pieces of a segment of class Other look like.
func appendKinds(to, data []byte) []byte {
	for n := pieces(len(data)); n > 0; n-- {
		piece := data
		if n > 1 {
			piece = data[:guessPiece]
		}
		data = data[len(piece):]
		to = append(to, guess(piece))
	}
	return to
}

// guess returns the kind of numbers that a piece seems to hold: that whose
// planes have the least entropy, if that is clearly less than that of bytes. Pairs
// of shorter elements look like longer ones, which must be clearly better too.
func guess(piece []byte) byte {
	var h histograms
	bytes, _ := h.cost(piece, Other, 0)
	best, most := kind(Other, 0), bytes/64*62
	integers := false
	for _, c := range [...]Class{I16, F16, F32} {
		for phase := range c.Width() {
			cost, ok := h.cost(piece, c, phase)
			if !ok || cost >= most || c == F16 && integers {
				continue
			}
			best, most = kind(c, phase), cost/128*127
			switch {
			case c == I16:
				integers = h.small()
			case c == F16 && !h.half():
				best = kind(BF16, phase)
			}
		}
	}
	return best
}

// small says whether one in eight of the integers of 16 bits that were counted
// is negative and small: floats with these bits would be huge.
func (h *histograms) small() bool {
	var total, near uint32
	for b, n := range h[1] {
		total += n
		if b >= 0xe0 {
			near += n
		}
	}
	return near > total/8
}

// half says whether floats of 16 bits whose planes were counted are F16 rather
// than BF16, which have the same planes: the lower three bits of the upper plane
// are of the mantissa then, and hold nearly three bits of entropy; of an exponent
// they hold two or so.
func (h *histograms) half() bool {
	var exponents [256]uint32
	total := uint64(0)
	for b, n := range h[1] {
		exponents[b>>3] += n
		total += uint64(n)
	}
	return entropy(&h[1], total) > entropy(&exponents, total)+total*13/5<<logBits
}

// histograms count bytes, plane by plane.
type histograms [4][256]uint32

// cost returns the entropy of order 0 of the planes of a class in data, from
// the byte phase on, and of what lies around them, in 256ths of a bit. It is not
// ok if another phase suits better: at any phase the planes are nearly the same,
// in another order, but the upper one must be that with the least entropy. That
// of floats, their exponent, is never constant, while their lower ones may be.
func (h *histograms) cost(data []byte, c Class, phase int) (cost uint64, ok bool) {
	w := c.Width()
	body := data[phase:]
	n := len(body) / w
	body = body[:n*w]
	*h = histograms{}
	h.count(body, c)
	cost = uint64(len(data)-len(body)) * 8 << logBits
	upper := entropy(&h[w-1], uint64(n))
	constant := uint64(0)
	if c.float() {
		constant = uint64(n) << logBits / 8
	}
	ok = upper >= constant
	for i := range w - 1 {
		e := entropy(&h[i], uint64(n))
		ok = ok && (e < constant || e >= upper)
		cost += e
	}
	return cost + upper, ok
}

func (h *histograms) count(body []byte, c Class) {
	rotate := 0
	if c.float() {
		rotate = 1
	}
	switch c.Width() {
	case 1:
		for _, b := range body {
			h[0][b]++
		}
	case 2:
		for ; len(body) > 0; body = body[2:] {
			v := bits.RotateLeft16(binary.LittleEndian.Uint16(body), rotate)
			h[0][byte(v)]++
			h[1][byte(v>>8)]++
		}
	case 4:
		for ; len(body) > 0; body = body[4:] {
			v := bits.RotateLeft32(binary.LittleEndian.Uint32(body), rotate)
			h[0][byte(v)]++
			h[1][byte(v>>8)]++
			h[2][byte(v>>16)]++
			h[3][byte(v>>24)]++
		}
	}
}

// logBits are behind the point of a logarithm.
const logBits = 8

// entropy returns that of total bytes with a histogram, in 256ths of a bit,
// with the correction for small samples (G. Miller, "Note on the bias of
// information estimates", 1955): half a nat for each value but one.
func entropy(h *[256]uint32, total uint64) uint64 {
	var sum, values uint64
	all := log2(total)
	for _, n := range h {
		if n > 0 {
			sum += uint64(n) * (all - log2(uint64(n)))
			values++
		}
	}
	return sum + values*185
}

// log2 returns the logarithm of n, at least 1, in 256ths. In integers, because
// rounding differs between architectures.
func log2(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	e := bits.Len64(n) - 1
	frac := n << (63 - e) << 1 >> 48 // 16 bits behind the first
	at, rest := frac>>12, frac&0xfff
	low, high := uint64(log2Table[at]), uint64(log2Table[at+1])
	return uint64(e)<<logBits + low + (high-low)*rest>>12
}

// log2Table holds 256 · log2(1 + i/16).
var log2Table = [17]uint16{0, 22, 44, 63, 82, 100, 118, 134, 150, 165, 179, 193, 207, 220, 232, 244, 256}
