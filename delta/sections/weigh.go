package sections

import "github.com/dunlin-mesh/dunlin/codec"

// costs is what a window costs in each state, in bits times unit: the length of
// a description by statistics of order 0 that fit the class, statistics
// included. Nothing costs more than 8 bits a byte, so what looks like noise
// costs the same in every state.
type costs [states]int32

// scale says how windows are weighed.
type scale struct {
	widest int // elements of more bytes are left out: they cost more than anything
	margin int // an array must be cheaper by 1/margin than bytes that are none; of int8, by an eighth of that
}

// weigh sets what the bytes data[from:] cost in each state. They begin at a
// multiple of 8; of what comes before, data[from-1] at least is there unless
// from is 0.
func (s *scanner) weigh(out *costs, data []byte, from int, by scale) {
	t := &s.tally
	before := byte(0)
	if from > 0 {
		before = data[from-1]
	}
	t.count(before, data[from:])
	if by.widest == 8 && !t.wide() {
		by.widest = 4
	}
	var planes [8]plane
	for width := 8; width > 1; t.fold(width) {
		for k := range min(width, by.widest) {
			planes[k] = plane{s.logs.total(t.plane[k][1:]), trailingZeros(&t.plane[k])}
		}
		for c := range s.table {
			st := &s.table[c]
			switch {
			case st.width != width:
			case width > by.widest:
				out[c] = int32(t.n * 16 * unit)
			case st.class == codec.I16 || st.class == codec.I32 || st.class == codec.I64:
				out[c] = int32(s.integers(t, st, t.zeros(st)))
			default:
				out[c] = int32(s.floats(t, st, t.zeros(st), &planes))
			}
		}
		width /= 2
	}
	out[other] = int32(s.bytes(t, data, from))
	out[other+1] = int32(s.small(t))
	margin := out[other] / int32(by.margin)
	marginInt8 := margin / 8
	if isText(&t.plane[0], t.n) {
		margin = int32(t.n * 8 * unit)
		marginInt8 = margin
	}
	out[other+1] += marginInt8
	for c := other + 2; c < states; c++ {
		out[c] += margin
	}
}

// isText says whether of n bytes nine in ten are printable ASCII.
func isText(h *[256]uint16, n int) bool {
	printable := int(h['\t']) + int(h['\n']) + int(h['\r'])
	for _, c := range h[' ' : '~'+1] {
		printable += int(c)
	}
	return printable*10 >= n*9
}
