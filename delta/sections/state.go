package sections

import "github.com/dunlin-mesh/dunlin/codec"

// state is what a byte can be part of: a class of elements and where, counted
// from the start of the range, its elements begin (modulo their width).
type state struct {
	class codec.Class
	width int
	phase int
}

const (
	// states is how many there are: Other and Int8, three classes of two bytes
	// in two phases, two of four in four, two of eight in eight.
	states = 1 + 1 + 3*2 + 2*4 + 2*8
	// other is the index of the state Other.
	other = 0
)

// stateTable lists the states. Its order breaks ties: the narrower class wins,
// because it says less about the bytes.
func stateTable() (table [states]state) {
	i := 0
	for _, c := range []codec.Class{
		codec.Other, codec.Int8, codec.I16, codec.F16, codec.BF16, codec.F32, codec.I32, codec.F64, codec.I64,
	} {
		for phase := range c.Width() {
			table[i] = state{class: c, width: c.Width(), phase: phase}
			i++
		}
	}
	return table
}

// align returns the first place at or after at where an element of s begins.
func (s state) align(at int64) int64 {
	w := int64(s.width)
	return at + ((int64(s.phase)-at)%w+w)%w
}
