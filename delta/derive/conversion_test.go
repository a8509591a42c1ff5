package derive

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// integers puts integers of a class into memory.
func integers(class codec.Class, rows, cols, block int, q []int32) Matrix {
	b := make([]byte, len(q)*class.Width())
	for i, x := range q {
		putInteger(class, b, i, x)
	}
	return Matrix{R: bytes.NewReader(b), Class: class, Rows: rows, Cols: cols, Block: block}
}

// quantizer is how some tool makes integers from float32 weights.
type quantizer struct {
	name   string
	missed int // elements that may be missed
	stored int // bytes of all conversions
	class  codec.Class
	run    func(w []float32, rows, cols int) []int32
}

func peak(w []float32, start, count, step int) float32 {
	most := float32(0)
	for i := range count {
		most = max(most, abs32(w[start+i*step]))
	}
	return most
}

func clamp(x float64, low, high int32) int32 {
	return int32(max(float64(low), min(float64(high), x)))
}

var quantizers = []quantizer{
	{name: "int8 by row, w / (peak/127) (ONNX Runtime)", missed: 0, stored: 700, class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range rows {
			s := peak(w, i*cols, cols, 1) / 127
			for j := range cols {
				if s > 0 {
					q[i*cols+j] = clamp(math.RoundToEven(float64(float32(w[i*cols+j]/s))), -127, 127)
				}
			}
		}
		return q
	}},
	{name: "int8 by row, w·(1/s), peak/127.5 (PyTorch)", missed: 20, stored: 3000, class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range rows {
			s := peak(w, i*cols, cols, 1) / 127.5
			for j := range cols {
				if s > 0 {
					q[i*cols+j] = clamp(math.RoundToEven(float64(float32(w[i*cols+j]*float32(1/s)))), -128, 127)
				}
			}
		}
		return q
	}},
	{name: "int8 by column", missed: 10, stored: 75000, class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for j := range cols {
			s := peak(w, j, rows, cols) / 127
			for i := range rows {
				if s > 0 {
					q[i*cols+j] = clamp(math.RoundToEven(float64(float32(w[i*cols+j]/s))), -127, 127)
				}
			}
		}
		return q
	}},
	{name: "int8 of the tensor, halves away (TFLite)", missed: 0, stored: 700, class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		s := peak(w, 0, len(w), 1) / 127
		for i := range w {
			q[i] = clamp(math.Round(float64(float32(w[i]/s))), -127, 127)
		}
		return q
	}},
	{name: "int8 by row, clipped scale that nothing derives", missed: 100, stored: 45000, class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range rows {
			s := peak(w, i*cols, cols, 1) / 150 * float32(1+0.1*math.Sin(float64(i)))
			for j := range cols {
				if s > 0 {
					q[i*cols+j] = clamp(math.RoundToEven(float64(float32(w[i*cols+j]/s))), -128, 127)
				}
			}
		}
		return q
	}},
	{name: "uint8 by row, range with zero point", missed: 0, stored: 700, class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range rows {
			row := w[i*cols : (i+1)*cols]
			low, high := min(0, slices.Min(row)), max(0, slices.Max(row))
			s := float32(high-low) / 255
			if s == 0 {
				continue
			}
			zero := math.RoundToEven(float64(float32(0 - float32(low/s))))
			for j := range row {
				q[i*cols+j] = clamp(math.RoundToEven(float64(float32(row[j]/s)))+zero, 0, 255)
			}
		}
		return q
	}},
	{name: "uint8 of the tensor, range with zero point", missed: 0, stored: 800, class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		low, high := min(0, slices.Min(w)), max(0, slices.Max(w))
		s := float32(high-low) / 255
		zero := math.RoundToEven(float64(float32(0 - float32(low/s))))
		for i := range w {
			q[i] = clamp(math.RoundToEven(float64(float32(w[i]/s)))+zero, 0, 255)
		}
		return q
	}},
	{name: "uint8 around 128 by row", missed: 0, stored: 800, class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range rows {
			s := peak(w, i*cols, cols, 1) / 127
			for j := range cols {
				q[i*cols+j] = 128
				if s > 0 {
					q[i*cols+j] = clamp(128+math.RoundToEven(float64(float32(w[i*cols+j]/s))), 0, 255)
				}
			}
		}
		return q
	}},
	{name: "int4 in bytes by row, peak/7", missed: 0, stored: 700, class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range rows {
			s := peak(w, i*cols, cols, 1) / 7
			for j := range cols {
				if s > 0 {
					q[i*cols+j] = clamp(math.RoundToEven(float64(float32(w[i*cols+j]/s))), -7, 7)
				}
			}
		}
		return q
	}},
	{name: "int16, w·64 clipped (NNUE)", missed: 0, stored: 700, class: codec.I16, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range w {
			q[i] = clamp(math.RoundToEven(float64(w[i])*64), -32768, 32767)
		}
		return q
	}},
	{name: "int16, w·127 halves away", missed: 0, stored: 800, class: codec.I16, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range w {
			q[i] = clamp(math.Round(float64(w[i])*127*64), -32768, 32767)
		}
		return q
	}},
	{name: "int32 biases, w·8128", missed: 0, stored: 900, class: codec.I32, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range w {
			q[i] = clamp(math.RoundToEven(float64(w[i])*8128), math.MinInt32, math.MaxInt32)
		}
		return q
	}},
}

func TestQuantizersOfRealModel(t *testing.T) {
	tensors := recogniser(t)
	for nth, z := range quantizers {
		t.Run(z.name, func(t *testing.T) {
			misses, elements, stored, rest := 0, 0, 0, 0.0
			for _, x := range tensors {
				if nth > 0 && len(x.data) > 100_000 && testing.Short() {
					continue
				}
				rows, cols := x.rows(), x.cols()
				old, next := matrix(codec.F32, rows, cols, x.data), integers(z.class, rows, cols, 1, z.run(x.data, rows, cols))
				c, ok, err := FindConversion(t.Context(), old, next)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					t.Errorf("%s %v: no conversion", x.name, x.shape)
					continue
				}
				form := c.AppendBinary(nil)
				if c, err = ParseConversion(form, codec.F32, z.class, rows, cols, 1); err != nil {
					t.Fatal(err)
				}
				n := missed(t, &c, old, next)
				misses += n
				elements += len(x.data)
				stored += len(form)
				bits, err := c.ResidualBits(t.Context(), old, next)
				if err != nil {
					t.Fatal(err)
				}
				rest += bits / 8
			}
			if misses > z.missed || stored > z.stored {
				t.Errorf("%d elements missed, want up to %d; %d bytes stored, want up to %d", misses, z.missed, stored, z.stored)
			}
			t.Logf("%d bytes of conversions, %d of %d elements missed, residual %.0f bytes", stored, misses, elements, rest)
		})
	}
}

// missed counts the elements that a conversion does not predict.
func missed(t *testing.T, c *Conversion, old, next Matrix) (n int) {
	t.Helper()
	basis := make([]byte, c.basisBytes())
	err := eachRow(t.Context(), &old, &next, 1, 0, width(&old), func(i int, a, b []byte) error {
		c.Row(i, a, basis)
		for j := range width(&next) {
			if ordered(c.To, basis, j) != ordered(c.To, b, j) {
				n++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFindConversionBetweenFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	data := random(r, 50*70)
	for i, b := range []uint32{0x7fc12345, 0xff800000, 1, 0x80000000, 0x7f7fffff, 0x33000001} {
		data[i*31] = math.Float32frombits(b)
	}
	for _, from := range []codec.Class{codec.F64, codec.F32, codec.F16, codec.BF16} {
		for _, to := range []codec.Class{codec.F64, codec.F32, codec.F16, codec.BF16} {
			if from == to {
				continue
			}
			old := matrix(from, 50, 70, data)
			held := make([]float32, len(data)) // what old holds
			row := make([]byte, rowBytes(&old)*50)
			if _, err := old.R.ReadAt(row, 0); err != nil {
				t.Fatal(err)
			}
			for i := range held {
				held[i] = math.Float32frombits(bits32(from, row, i))
			}
			c, ok, err := FindConversion(t.Context(), old, matrix(to, 50, 70, held))
			if err != nil || !ok || c.Kind != Cast {
				t.Errorf("class %d to %d: %v, kind %d, %v", from, to, ok, c.Kind, err)
				continue
			}
			if n := missed(t, &c, old, matrix(to, 50, 70, held)); n != 0 {
				t.Errorf("class %d to %d: %d missed", from, to, n)
			}
			if _, ok, err := FindConversion(t.Context(), old, matrix(to, 50, 70, random(r, len(data)))); ok || err != nil {
				t.Errorf("class %d to %d, unrelated: %v, %v", from, to, ok, err)
			}
		}
	}
	cut := slices.Clone(data)
	for i, x := range cut {
		cut[i] = math.Float32frombits(math.Float32bits(x) &^ 0xffff)
	}
	old, next := matrix(codec.F32, 50, 70, data), matrix(codec.BF16, 50, 70, cut)
	if c, ok, err := FindConversion(t.Context(), old, next); err != nil || !ok || c.Kind != Truncate || missed(t, &c, old, next) != 0 {
		t.Errorf("truncation: %v, kind %d, %v", ok, c.Kind, err)
	}
}

func TestFindConversionSaysNo(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	old := matrix(codec.F32, 64, 128, random(r, 64*128))
	q := make([]int32, 64*128)
	for i := range q {
		q[i] = int32(r.NormFloat64() * 30)
	}
	for name, next := range map[string]Matrix{
		"unrelated":     integers(codec.Int8, 64, 128, 1, q),
		"unrelated i16": integers(codec.I16, 64, 128, 1, q),
		"all equal":     integers(codec.Int8, 64, 128, 1, make([]int32, len(q))),
		"other shape":   integers(codec.Int8, 32, 256, 1, q),
		"blocks":        integers(codec.Other, 64, 136, 1, append(q, q[:512]...)),
		"same class":    matrix(codec.F32, 64, 128, random(r, 64*128)),
	} {
		if _, ok, err := FindConversion(t.Context(), old, next); ok && name != "all equal" || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

// Weights that were trained on before they were made integers leave a residual.
func TestQuantizeAfterTraining(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	const rows, cols = 128, 256
	data := random(r, rows*cols)
	later := slices.Clone(data)
	for i := range later {
		later[i] += 1e-3 * float32(r.NormFloat64())
	}
	q := quantizers[0].run(later, rows, cols)
	old, next := matrix(codec.F32, rows, cols, data), integers(codec.Int8, rows, cols, 1, q)
	c, ok, err := FindConversion(t.Context(), old, next)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	bits, err := c.ResidualBits(t.Context(), old, next)
	if err != nil {
		t.Fatal(err)
	}
	if each := (bits + 8*float64(len(c.AppendBinary(nil)))) / (rows * cols); each > 0.6 {
		t.Errorf("%.3f bits an element", each)
	}
}

func FuzzParseConversion(f *testing.F) {
	f.Add([]byte{1, byte(Cast)}, byte(codec.F32), byte(codec.F16), 3, 4, 1)
	f.Add([]byte{1, byte(Q4_0)}, byte(codec.F32), byte(codec.Other), 3, 4, 8)
	for _, g := range []grid{
		{axis: byPeak, low: -127, high: 127, levels: 127},
		{axis: byRow, low: -128, high: 127, factors: []float64{1, 2, 0.1}, zeros: []int32{1, 2, 3}},
		{axis: byColumn, low: 0, high: 255, form: quotient, away: true, factors: []float64{1, 2, 3, 4}, zeros: []int32{128}},
	} {
		c := Conversion{Kind: Quantize, From: codec.F32, To: codec.Int8, Rows: 3, Cols: 4, Block: 2, grid: g}
		f.Add(c.AppendBinary(nil), byte(c.From), byte(c.To), 3, 4, 2)
	}
	f.Fuzz(func(t *testing.T, b []byte, from, to byte, rows, cols, block int) {
		c, err := ParseConversion(b, codec.Class(from), codec.Class(to), rows, cols, block)
		if err != nil {
			return
		}
		if form := c.AppendBinary(nil); !bytes.Equal(form, b) {
			t.Fatalf("%x is coded as %x", b, form)
		}
		old := bytes.Repeat([]byte{0x3f, 0x9e}, c.width()*c.From.Width()/2)
		c.RowRest(rows-1, old[:c.width()*c.From.Width()], make([]byte, c.basisBytes()), make([]int8, c.width()))
	})
}
