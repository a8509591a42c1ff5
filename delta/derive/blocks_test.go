package derive

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// Blocks whose bytes follow from the definition of their type by hand.
func TestBlocksByHand(t *testing.T) {
	ramp := make([]float32, 32) // -8 … 7.5 by halves
	for i := range ramp {
		ramp[i] = float32(i)/2 - 8
	}
	// Q4_0: d = -8/-8 = 1 (0x3c00); q = trunc(x + 8.5).
	q40 := []byte{0x00, 0x3c}
	for j := range 16 {
		q40 = append(q40, byte(int(float32(j)/2+0.5))|byte(min(15, int(float32(j+16)/2+0.5)))<<4)
	}
	// Q8_0 of powers of two up to 127: d = 1, q = x.
	whole := make([]float32, 32)
	q80 := []byte{0x00, 0x3c}
	for i := range whole {
		whole[i] = float32(127 - 8*i)
		q80 = append(q80, byte(int8(127-8*i)))
	}
	// Q4_1 of 0…15: d = 1, m = 0.
	fifteen := make([]float32, 32)
	q41 := []byte{0x00, 0x3c, 0, 0}
	for i := range fifteen {
		fifteen[i] = float32(i % 16)
	}
	for j := range 16 {
		q41 = append(q41, byte(j|j<<4))
	}
	// Q5_1 of 0…31: d = 1, m = 0; the fifth bit is that of the second half.
	thirty := make([]float32, 32)
	q51 := []byte{0x00, 0x3c, 0, 0, 0, 0, 0xff, 0xff}
	for i := range thirty {
		thirty[i] = float32(i)
	}
	for j := range 16 {
		q51 = append(q51, byte(j|j<<4))
	}
	// Q5_0 of -16…15: d = 1; q = x + 16.
	signed := make([]float32, 32)
	for i := range signed {
		signed[i] = float32(i) - 16
	}
	q50 := append([]byte{0x00, 0x3c, 0, 0, 0xff, 0xff}, q51[8:]...)
	for _, c := range []struct {
		kind Kind
		x    []float32
		want []byte
	}{{Q4_0, ramp, q40}, {Q8_0, whole, q80}, {Q4_1, fifteen, q41}, {Q5_1, thirty, q51}, {Q5_0, signed, q50}} {
		zeros := make([]float32, 32)
		old := matrix(codec.F32, 2, 32, append(append([]float32(nil), c.x...), zeros...))
		row, basis := make([]byte, 128), make([]byte, len(c.want))
		if _, err := old.R.ReadAt(row, 0); err != nil {
			t.Fatal(err)
		}
		k := Conversion{Kind: c.kind, From: codec.F32, To: codec.Other, Rows: 2, Cols: 32, Block: 1}
		k.Row(0, row, basis)
		if !bytes.Equal(basis, c.want) {
			t.Errorf("kind %d: %x, want %x", c.kind, basis, c.want)
		}
	}
}

// Each type is recognised by its bytes, from each class; other bytes are not.
func TestFindBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	data := random(r, 40*128)
	data[7], data[8], data[9] = float32(math.NaN()), float32(math.Inf(-1)), 1e-42
	for kind := Q8_0; kind < kinds; kind++ {
		for _, from := range []codec.Class{codec.F32, codec.F16, codec.BF16} {
			old := matrix(from, 40, 128, data)
			c := Conversion{Kind: kind, From: from, To: codec.Other, Rows: 40, Cols: 128, Block: 1}
			var all []byte
			basis := make([]byte, c.basisBytes())
			if err := eachRow(t.Context(), &old, &old, 1, 0, 128, func(i int, a, _ []byte) error {
				c.Row(i, a, basis)
				all = append(all, basis...)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			next := Matrix{R: bytes.NewReader(all), Class: codec.Other, Rows: 40, Cols: len(basis), Block: 1}
			found, ok, err := FindConversion(t.Context(), old, next)
			if err != nil || !ok || found.Kind != kind || missed(t, &found, old, next) != 0 {
				t.Errorf("kind %d from class %d: %v, kind %d, %v", kind, from, ok, found.Kind, err)
			}
			for i := range all {
				all[i] = byte(r.Uint32())
			}
			if _, ok, err := FindConversion(t.Context(), old, next); ok || err != nil {
				t.Errorf("kind %d, unrelated: %v, %v", kind, ok, err)
			}
		}
	}
}
