package delta

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/container"
	"github.com/dunlin-mesh/dunlin/delta/align"
	"github.com/dunlin-mesh/dunlin/delta/derive"
)

// conversionTable is what makes bf16 of f32.
func conversionTable(t testing.TB, rows, cols int) (*table, []byte, []byte) {
	t.Helper()
	wide := weightBytes(1, rows*cols)
	narrow := make([]byte, 0, 2*rows*cols)
	for i := 0; i < len(wide); i += 4 {
		b := binary.LittleEndian.Uint32(wide[i:])
		b += 0x7fff + b>>16&1
		narrow = binary.LittleEndian.AppendUint16(narrow, uint16(b>>16))
	}
	old := align.Matrix{R: bytes.NewReader(wide), Class: codec.F32, Rows: rows, Cols: cols, Block: 1}
	next := align.Matrix{R: bytes.NewReader(narrow), Class: codec.BF16, Rows: rows, Cols: cols, Block: 1}
	k, ok, err := derive.FindConversion(t.Context(), old, next)
	if err != nil || !ok {
		t.Fatalf("no conversion: %v", err)
	}
	return &table{conversion: &k}, wide, narrow
}

// factorsTable is a low-rank product, found in f32 weights.
func factorsTable(t testing.TB, rows, cols int) (*table, []byte, []byte) {
	t.Helper()
	old := weightBytes(1, rows*cols)
	next := bytes.Clone(old)
	u, v := weightBytes(7, rows), weightBytes(8, cols)
	for i := range rows {
		for j := range cols {
			at := 4 * (i*cols + j)
			x := value(old[at:], codec.F32) + float64(value(u[4*i:], codec.F32)*value(v[4*j:], codec.F32))
			putF32(next[at:], x)
		}
	}
	matrix := func(b []byte) align.Matrix {
		return align.Matrix{R: bytes.NewReader(b), Class: codec.F32, Rows: rows, Cols: cols, Block: 1}
	}
	f, ok, err := derive.LowRank(t.Context(), matrix(old), matrix(next), maxRank)
	if err != nil || !ok {
		t.Fatalf("no factors: %v", err)
	}
	return &table{factors: &f}, old, next
}

// Tables come back as they were.
func TestTables(t *testing.T) {
	var coder codec.Coder
	conversion, _, _ := conversionTable(t, 16, 16)
	factors, _, _ := factorsTable(t, 128, 128)
	for name, want := range map[string]*table{
		"order":      {order: []uint32{2, 0, 1}},
		"gains":      {gains: []int16{0, -32768, 32767, 12}},
		"conversion": conversion,
		"factors":    factors,
	} {
		t.Run(name, func(t *testing.T) {
			data, err := want.marshal(&coder)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseTable(data, &coder)
			if err != nil {
				t.Fatal(err)
			}
			again, err := got.marshal(&coder)
			if err != nil || !bytes.Equal(again, data) {
				t.Errorf("other bytes the second time: %v", err)
			}
			if !reflect.DeepEqual(got.order, want.order) || !reflect.DeepEqual(got.gains, want.gains) || got.memory() != want.memory() {
				t.Errorf("%+v became %+v", want, got)
			}
			for n := range data {
				if _, err := parseTable(data[:n], &coder); err != nil && !isDelta(err) {
					t.Fatalf("first %d bytes: %v", n, err)
				}
			}
		})
	}
}

// The tables that are there at once are bounded by their memory.
func TestTablesFit(t *testing.T) {
	var list []*table
	next := &table{order: make([]uint32, 1<<20)}
	for fits(list, next) {
		list = append(list, next)
	}
	if len(list) != maxTablesMemory/next.memory() {
		t.Errorf("%d tables of %d bytes", len(list), next.memory())
	}
	list = nil
	for range maxTables {
		list = append(list, &table{})
	}
	if fits(list, &table{}) {
		t.Errorf("more than %d tables", maxTables)
	}
}

// Of the tables that are to stay none is forgotten, however many there are; of
// the others only as many as must be, and those that stay keep their numbers.
func TestTablesAdd(t *testing.T) {
	var forgot int
	var list []*table // as a decoder has them
	s := tables{stay: true}
	s.emit = func(kind byte, payload []byte) error {
		if kind == recordForget {
			forgot++
		}
		d := decoder{tables: list}
		if err := d.table(uint64(kind), payload); err != nil {
			return err
		}
		list = d.tables
		return nil
	}
	large := make([]int16, 2<<20)
	numbers := map[int]bool{}
	for range 10 {
		k, err := s.add(&table{gains: large})
		if err != nil {
			t.Fatal(err)
		}
		if k >= 0 && numbers[k] {
			t.Fatalf("two tables have number %d", k)
		}
		numbers[k] = true
	}
	if kept := len(s.list); kept != 7 || forgot > 0 || !numbers[-1] {
		t.Fatalf("%d tables stay, %d times forgotten", kept, forgot)
	}
	s.kept, s.stay = len(s.list), false
	for range maxTables + maxTables/8 {
		k, err := s.add(&table{gains: make([]int16, 1000)})
		if err != nil || k < s.kept {
			t.Fatalf("table %d: %v", k, err)
		}
	}
	if forgot == 0 || len(list) != len(s.list) || !fits(list[:len(list)-1], list[len(list)-1]) {
		t.Errorf("%d times forgotten, %d tables, decoder %d", forgot, len(s.list), len(list))
	}
	if k, err := s.add(&table{gains: large}); k >= 0 || err != nil {
		t.Errorf("table %d beyond all bounds: %v", k, err)
	}
}

// Any bytes are a table or malformed.
func FuzzTable(f *testing.F) {
	var coder codec.Coder
	conversion, _, _ := conversionTable(f, 4, 4)
	for _, t := range []*table{conversion, {order: []uint32{1, 0}}, {gains: []int16{1, 2}}} {
		data, err := t.marshal(&coder)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseTable(data, &coder)
		if err != nil {
			if !isDelta(err) {
				t.Errorf("error of no kind: %v", err)
			}
			return
		}
		again, err := got.marshal(&coder)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseTable(again, &coder); err != nil || back.memory() != got.memory() {
			t.Errorf("it does not come back: %v", err)
		}
	})
}

// Any bytes are packed runs that lie in their files in order, or malformed.
func FuzzPacks(f *testing.F) {
	const size = 1 << 12
	var coder codec.Coder
	block := strip{at: 100, size: 34 * 3, kind: 4}
	list := []container.Pack{block.pack(), {Offset: 300, Length: 10, Kind: container.LEB128, Params: []byte{2}, Unpacked: 12}}
	for _, packs := range [][]container.Pack{nil, list} {
		data, err := appendPacks(nil, packs, list, &coder)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		old, next, err := parsePacks(data, size, size, &coder)
		if err != nil {
			if !isDelta(err) {
				t.Errorf("error of no kind: %v", err)
			}
			return
		}
		for _, packs := range [][]container.Pack{old, next} {
			at := int64(0)
			for _, p := range packs {
				if p.Offset < at || p.Length < 0 || p.Offset+p.Length > size || p.Unpacked < 0 {
					t.Fatalf("run %+v after %d", p, at)
				}
				at = p.Offset + p.Length
			}
		}
		// What no file holds is refused when it is opened or packed.
		v, err := newView(t.Context(), bytes.NewReader(make([]byte, size)), size, old, t.TempDir())
		if err == nil {
			_, err = io.Copy(io.Discard, io.NewSectionReader(v, 0, min(v.size, 1<<20)))
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil && context.Cause(t.Context()) != nil {
			t.Fatal(err)
		}
		r := &repacker{w: io.Discard, packs: next}
		_, err = r.Write(make([]byte, min(max(viewSize(size, next), 0), 1<<20)))
		if err != nil && !isDelta(err) {
			t.Errorf("error of no kind: %v", err)
		}
		_ = r.Close() // of what the bytes did not fill
	})
}

// Packed runs come back, and the view of a file is as long as they say.
func TestPacks(t *testing.T) {
	var coder codec.Coder
	check(t, 100, func(t *rapid.T) {
		const size = 1 << 20
		draw := func(label string) (packs []container.Pack) {
			at := int64(0)
			for range rapid.IntRange(0, 10).Draw(t, label) {
				p := container.Pack{
					Offset: at + rapid.Int64Range(0, 1000).Draw(t, "gap"), Length: rapid.Int64Range(0, 1000).Draw(t, "length"),
					Unpacked: rapid.Int64Range(0, 1<<40).Draw(t, "unpacked"), Kind: container.Kind(rapid.IntRange(0, stripKind-1).Draw(t, "kind")),
					Params: rapid.SliceOfN(rapid.Byte(), 0, maxParams).Draw(t, "params"),
				}
				packs, at = append(packs, p), p.Offset+p.Length
			}
			return packs
		}
		old, next := draw("old"), draw("new")
		data, err := appendPacks(nil, old, next, &coder)
		if err != nil {
			t.Fatal(err)
		}
		gotOld, gotNext, err := parsePacks(data, size, size, &coder)
		if err != nil {
			t.Fatal(err)
		}
		if len(gotOld) != len(old) || len(gotNext) != len(next) {
			t.Fatal("other runs came back")
		}
		want := int64(size)
		for i := range next {
			next[i].Params, gotNext[i].Params = append([]byte{}, next[i].Params...), append([]byte{}, gotNext[i].Params...)
			want += next[i].Unpacked - next[i].Length
		}
		if len(next) > 0 && !reflect.DeepEqual(gotNext, next) {
			t.Fatalf("%+v became %+v", next, gotNext)
		}
		if got := viewSize(size, next); got != want {
			t.Fatalf("view of %d bytes, want %d", got, want)
		}
	})
}
