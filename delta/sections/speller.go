package sections

import (
	"encoding/binary"

	"github.com/dunlin-mesh/dunlin/codec"
)

// speller knows the lengths of the elements of one run.
type speller struct {
	state state
	top   [256]int32
	sign  [2]int32
	low   [7][256]int32 // of each byte below the top; of Other and Int8, low[0]
}

// split takes an element, of the bytes e, to what a speller counts: sign, the
// exponent or the highest bits of the magnitude, and the bytes below.
func (st *state) split(e []byte) (sign, top int, rest uint64) {
	var v uint64
	switch st.width {
	case 1:
		return 0, 0, uint64(e[0])
	case 2:
		v = uint64(binary.LittleEndian.Uint16(e)) << 48
	case 4:
		v = uint64(binary.LittleEndian.Uint32(e)) << 32
	case 8:
		v = binary.LittleEndian.Uint64(e)
	}
	sign = int(v >> 63)
	if st.class == codec.I16 || st.class == codec.I32 || st.class == codec.I64 {
		v ^= uint64(int64(v) >> 63)
	}
	if st.class == codec.F16 {
		top = int(v >> 58 & 31)
		rest = v << 6 >> 8
	} else {
		top = int(v >> 55 & 255)
		rest = v << 9 >> 9
	}
	return sign, top, rest >> (64 - 8*st.width)
}

// learn sets the lengths to those of data, which begins with an element and
// may be empty.
func (s *scanner) learn(sp *speller, st state, data []byte) {
	*sp = speller{state: st}
	if len(data) == 0 && st.width == 1 {
		for b := range sp.low[0] {
			sp.low[0][b] = strangeBits * unit
		}
		return
	}
	var top [256]int32
	var sign [2]int32
	var low [7][256]int32
	n := len(data) / st.width
	for i := range n {
		sg, t, rest := st.split(data[i*st.width : (i+1)*st.width])
		top[t]++
		sign[sg]++
		for k := range max(st.width-1, 1) {
			low[k][rest>>(8*k)&255]++
		}
	}
	// Prior counts: a sixteenth each for exponents, which are few; one for
	// bytes, which are uniform unless there is much to say otherwise.
	if st.width > 1 {
		for t := range top {
			sp.top[t] = s.logs.of(16*n+256) - s.logs.of(int(16*top[t]+1))
		}
		for g := range sign {
			sp.sign[g] = s.logs.of(2*n+2) - s.logs.of(int(2*sign[g]+1))
		}
	}
	if st.class == codec.Int8 {
		h := low[0]
		for b := range h {
			low[0][b] = 2 * h[b]
			for d, w := range kernel {
				low[0][b] += int32(w) * (h[(b+d+1)&255] + h[(b-d-1)&255]) / 4
			}
		}
		n = 0
		for _, c := range low[0] {
			n += int(c)
		}
	}
	for k := range max(st.width-1, 1) {
		// The highest of the lower bytes has 7 bits where the top has 9.
		symbols := 256
		if st.width > 1 && k == st.width-2 && st.class != codec.F16 {
			symbols = 128
		}
		for b := range low[k] {
			sp.low[k][b] = s.logs.of(n+symbols) - s.logs.of(int(low[k][b]+1))
		}
	}
}

// spell returns what the element e costs.
func (sp *speller) spell(e []byte) int32 {
	sign, top, rest := sp.state.split(e)
	sum := sp.sign[sign] + sp.top[top]
	for k := range max(sp.state.width-1, 1) {
		sum += sp.low[k][rest>>(8*k)&255]
	}
	return sum
}
