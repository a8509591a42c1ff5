package sections

import (
	"encoding/binary"
	"math/bits"
)

// tally counts the bytes of a window by their place modulo 8.
type tally struct {
	n int
	// plane[k] counts the bytes at places of k modulo 8.
	plane [8][256]uint16
	// top[k] counts, for the same bytes, the byte and the highest bit of the one
	// before it: sign and exponent of f32 and bf16, sign and the eight highest
	// bits of anything else, where an element's last byte lies there.
	top [8][512]uint16
	// zero[w][k] counts the places of k modulo 8 where 1<<w bytes of zero end.
	zero [4][8]uint16
}

// count counts window, whose first byte lies at a multiple of 8; before is the
// byte that precedes it.
func (t *tally) count(before byte, window []byte) {
	*t = tally{n: len(window)}
	last := uint64(before) >> 7
	// run counts the zeros before a place.
	run := 0
	if before == 0 {
		run = 8
	}
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
		// If no byte is zero, no borrow sets a high bit that was not set.
		if (v-0x0101010101010101)&^v&0x8080808080808080 == 0 {
			run = 0
			continue
		}
		for k := range 8 {
			run = t.endZeros(k, byte(v>>(8*k)), run)
		}
	}
	for k, b := range window[whole:] {
		t.top[k][uint64(b)<<1|last]++
		last = uint64(b) >> 7
		run = t.endZeros(k, b, run)
	}
	for k := range t.plane {
		for b := range t.plane[k] {
			t.plane[k][b] = t.top[k][2*b] + t.top[k][2*b+1]
		}
	}
}

// endZeros counts the zeros that end with b, where run precede it.
func (t *tally) endZeros(k int, b byte, run int) int {
	if b != 0 {
		return 0
	}
	run++
	if run >= 2 {
		t.zero[1][k]++
	}
	if run >= 4 {
		t.zero[2][k]++
	}
	if run >= 8 {
		t.zero[3][k]++
	}
	return run
}

// fold adds the upper half of the planes and tops, of 2*width of them, to the
// lower half: what was counted modulo 2*width is then counted modulo width.
func (t *tally) fold(width int) {
	for k := range width {
		for w := range t.zero {
			t.zero[w][k] += t.zero[w][k+width]
		}
		for b := range t.plane[k] {
			t.plane[k][b] += t.plane[k+width][b]
		}
		for x := range t.top[k] {
			t.top[k][x] += t.top[k+width][x]
		}
	}
}

// zeros returns how many elements of st are zero. t is counted modulo their width.
func (t *tally) zeros(st *state) int {
	last := (st.phase + st.width - 1) % st.width
	n := t.zero[bits.TrailingZeros(uint(st.width))][last]
	for k := range st.width {
		n = min(n, t.plane[k][0])
	}
	return int(n)
}

// wide says whether there may be elements of 8 bytes: bytes that are not zero
// differ from those four places on, or are few.
func (t *tally) wide() bool {
	sum := 0
	for k := range 4 {
		differ, all := 0, 0
		for b := 1; b < 256; b++ {
			x, y := int(t.plane[k][b]), int(t.plane[k+4][b])
			differ += max(x-y, y-x)
			all += x + y
		}
		if 4*differ > 3*all {
			return true
		}
		sum += all
	}
	return 4*sum < t.n
}
