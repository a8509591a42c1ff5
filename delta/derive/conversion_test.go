package derive

import (
	"bytes"
	"math"
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
	name           string
	class          codec.Class
	run            func(w []float32, rows, cols int) []int32
	bytes          int // at most, of the conversion beside 16 bytes: per row and column
	perRow, perCol float64
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
	{name: "int8 by row, w / (peak/127) (ONNX Runtime)", class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
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
	{name: "int8 by row, w·(1/s), peak/127.5 (PyTorch)", class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
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
	{name: "int8 by column", class: codec.Int8, perCol: 4, run: func(w []float32, rows, cols int) []int32 {
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
	{name: "int8 of the tensor, halves away (TFLite)", class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		s := peak(w, 0, len(w), 1) / 127
		for i := range w {
			q[i] = clamp(math.Round(float64(float32(w[i]/s))), -127, 127)
		}
		return q
	}},
	{name: "int8 by row, clipped scale that nothing derives", class: codec.Int8, perRow: 4, run: func(w []float32, rows, cols int) []int32 {
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
	{name: "uint8 by row, range with zero point", class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
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
	{name: "uint8 of the tensor, range with zero point", class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		low, high := min(0, slices.Min(w)), max(0, slices.Max(w))
		s := float32(high-low) / 255
		zero := math.RoundToEven(float64(float32(0 - float32(low/s))))
		for i := range w {
			q[i] = clamp(math.RoundToEven(float64(float32(w[i]/s)))+zero, 0, 255)
		}
		return q
	}},
	{name: "uint8 around 128 by row", class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
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
	{name: "int4 in bytes by row, peak/7", class: codec.Int8, run: func(w []float32, rows, cols int) []int32 {
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
	{name: "int16, w·64 clipped (NNUE)", class: codec.I16, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range w {
			q[i] = clamp(math.RoundToEven(float64(w[i])*64), -32768, 32767)
		}
		return q
	}},
	{name: "int16, w·127 halves away", class: codec.I16, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range w {
			q[i] = clamp(math.Round(float64(w[i])*127*64), -32768, 32767)
		}
		return q
	}},
	{name: "int32 biases, w·8128", class: codec.I32, run: func(w []float32, rows, cols int) []int32 {
		q := make([]int32, len(w))
		for i := range w {
			q[i] = clamp(math.RoundToEven(float64(w[i])*8128), math.MinInt32, math.MaxInt32)
		}
		return q
	}},
}

func TestQuantizersOfRealModel(t *testing.T) {
	tensors := recogniser(t)
	for _, z := range quantizers {
		t.Run(z.name, func(t *testing.T) {
			misses, elements, stored, rest := 0, 0, 0, 0.0
			for _, x := range tensors {
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
				if n > 0 {
					t.Logf("%s %v: axis %d form %d, levels %v: %d of %d missed", x.name, x.shape, c.grid.axis, c.grid.form, c.grid.levels, n, len(x.data))
				}
				misses += n
				elements += len(x.data)
				stored += len(form)
				bits, err := c.ResidualBits(t.Context(), old, next)
				if err != nil {
					t.Fatal(err)
				}
				rest += bits / 8
			}
			t.Logf("%d bytes of conversions, %d of %d elements missed, residual %.0f bytes", stored, misses, elements, rest)
		})
	}
}

// missed counts the elements that a conversion does not predict.
func missed(t *testing.T, c *Conversion, old, next Matrix) (n int) {
	t.Helper()
	basis := make([]byte, c.basisBytes())
	err := eachRow(t.Context(), &old, &next, 0, 1, 0, width(&old), func(i int, a, b []byte) error {
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
