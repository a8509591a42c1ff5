package weights_test

import (
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/weights"
)

// Any bytes decode to some elements under any parameters that pass, and the
// same elements every time; and what they decode to can be coded.
func FuzzCode(f *testing.F) {
	for _, class := range allClasses {
		for i, kind := range allKinds {
			a := makeArray(class, kind, 300)
			flags := uint8(i)
			if kind == kindSparse {
				a.sparse, flags = true, 16|1
			}
			p := a.params(class)
			enc := mix.NewEncoder(nil)
			a.encode(a.model(class), enc, p)
			f.Add(enc.Finish(), a.old, uint8(class), uint16(300), uint16(a.cols), uint16(a.start), uint16(p.Top), uint16(p.Level), uint32(p.Period), flags)
		}
	}
	f.Fuzz(func(t *testing.T, coded, old []byte, class uint8, n, cols, start, top, level uint16, period uint32, flags uint8) {
		a := array{cols: int(cols), start: int(start)}
		kind := allClasses[int(class)%len(allClasses)]
		size := int(n) % 5000 * kind.Width()
		a.next = make([]byte, size)
		if flags&1 != 0 {
			a.old = make([]byte, size)
			copy(a.old, old)
		}
		if flags&2 != 0 {
			for i := range size / kind.Width() {
				a.rest = append(a.rest, int8(i*int(n)>>3))
			}
		}
		p := weights.Params{
			Class: kind, Cols: a.cols, Based: a.old != nil, Top: int(top), Level: int(level),
			Zeros: flags&4 != 0, Sparse: flags&16 != 0, Period: int(period % (weights.MaxPeriod + 2)),
		}
		if a.sparse = p.Sparse; p.Validate() != nil {
			t.Skip()
		}
		based := flags&8 != 0 || a.old != nil
		decode := func() []byte {
			return a.decode(weights.NewModel(kind, based), mix.NewDecoder(coded), p)
		}
		first := decode()
		if second := decode(); string(first) != string(second) {
			t.Fatal("two decoders do not agree")
		}
		again := a
		again.next = first
		roundTrip(t, kind, &again)
	})
}
