package sections

import "encoding/binary"

// tally counts the bytes of a window by their place modulo 8.
type tally struct {
	n int
	// plane[k] counts the bytes at places of k modulo 8.
	plane [8][256]uint16
	// top[k] counts, for the same bytes, the byte and the highest bit of the one
	// before it: sign and exponent of f32 and bf16, sign and the eight highest
	// bits of anything else, where an element's last byte lies there.
	top [8][512]uint16
}

// count counts window, whose first byte lies at a multiple of 8; before is the
// byte that precedes it.
func (t *tally) count(before byte, window []byte) {
	*t = tally{n: len(window)}
	last := uint64(before) >> 7
	whole := len(window) &^ 7
	for at := 0; at < whole; at += 8 {
		v := binary.LittleEndian.Uint64(window[at:])
		t.top[0][(v<<1|last)&511]++
		t.top[1][v>>7&511]++
		t.top[2][v>>15&511]++
		t.top[3][v>>23&511]++
		t.top[4][v>>31&511]++
		t.top[5][v>>39&511]++
		t.top[6][v>>47&511]++
		t.top[7][v>>55]++
		last = v >> 63
	}
	for k, b := range window[whole:] {
		t.top[k][uint64(b)<<1|last]++
		last = uint64(b) >> 7
	}
	for k := range t.plane {
		for b := range t.plane[k] {
			t.plane[k][b] = t.top[k][2*b] + t.top[k][2*b+1]
		}
	}
}

// fold adds the upper half of the planes and tops, of 2*width of them, to the
// lower half: what was counted modulo 2*width is then counted modulo width.
func (t *tally) fold(width int) {
	for k := range width {
		for b := range t.plane[k] {
			t.plane[k][b] += t.plane[k+width][b]
		}
		for x := range t.top[k] {
			t.top[k][x] += t.top[k+width][x]
		}
	}
}
