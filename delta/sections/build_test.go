package sections_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/delta/sections"

	"github.com/dunlin-mesh/dunlin/codec"
)

// weights returns the values of the f32 tensors of a corpus file one after the
// other, those of at least least elements.
func weights(tb testing.TB, name string, least int) []float32 {
	tb.Helper()
	data := load(tb, name)
	l, err := chunker.Layout(tb.Context(), bytes.NewReader(data), int64(len(data)), filepath.Base(name), chunker.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	var values []float32
	for _, t := range l.Tensors {
		if t.DType != "f32" || t.Length < uint64(4*least) {
			continue
		}
		for i := t.Offset; i < t.Offset+t.Length; i += 4 {
			values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(data[i:])))
		}
	}
	return values
}

// normal returns values of a normal distribution, in columns of different scale.
func normal(seed uint64, n, cols int) []float32 {
	random := rand.New(rand.NewPCG(seed, 1))
	scale := make([]float64, cols)
	for i := range scale {
		scale[i] = 0.05 * math.Exp(0.4*random.NormFloat64())
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(random.NormFloat64() * scale[i%cols])
	}
	return values
}

// prune sets the share of values that are smallest to zero.
func prune(values []float32, share float64) []float32 {
	sizes := make([]float64, len(values))
	for i, v := range values {
		sizes[i] = math.Abs(float64(v))
	}
	slices.Sort(sizes)
	limit := sizes[int(share*float64(len(sizes)-1))]
	out := slices.Clone(values)
	for i, v := range out {
		if math.Abs(float64(v)) <= limit {
			out[i] = 0
		}
	}
	return out
}

// encode writes values as elements of class; integers are scaled so that four
// root mean squares of each 4096 values are at limit.
func encode(values []float32, class codec.Class, limit float64) []byte {
	out := make([]byte, 0, len(values)*class.Width())
	for from := 0; from < len(values); from += 4096 {
		part := values[from:min(from+4096, len(values))]
		squares := 0.0
		for _, v := range part {
			squares += float64(v) * float64(v)
		}
		scale := limit / 4 / max(math.Sqrt(squares/float64(len(part))), 1e-30)
		for _, v := range part {
			whole := int64(math.RoundToEven(max(-limit, min(limit, float64(v)*scale))))
			switch class {
			case codec.Int8:
				out = append(out, byte(whole))
			case codec.I16:
				out = binary.LittleEndian.AppendUint16(out, uint16(whole))
			case codec.I32:
				out = binary.LittleEndian.AppendUint32(out, uint32(whole))
			case codec.I64:
				out = binary.LittleEndian.AppendUint64(out, uint64(whole))
			case codec.F16:
				out = binary.LittleEndian.AppendUint16(out, half(v))
			case codec.BF16:
				u := math.Float32bits(v)
				out = binary.LittleEndian.AppendUint16(out, uint16((u+0x7fff+u>>16&1)>>16))
			case codec.F32:
				out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
			case codec.F64:
				// A double has more to say than a float: 29 bits of anything.
				u := math.Float64bits(float64(v))
				if v != 0 {
					u ^= u * 0x9e3779b97f4a7c15 >> 35
				}
				out = binary.LittleEndian.AppendUint64(out, u)
			}
		}
	}
	return out
}

// half rounds v to the nearest half float, ties away from zero.
func half(v float32) uint16 {
	sign := uint16(math.Float32bits(v) >> 16 & 0x8000)
	size := math.Abs(float64(v))
	if size < 1.0/16384 {
		return sign | uint16(math.Round(size*(1<<24)))
	}
	fraction, exponent := math.Frexp(size)
	return sign | min(uint16(exponent+13)<<10+uint16(math.Round((fraction*2-1)*1024)), 0x7bff)
}

// builder makes files of known sections.
type builder struct {
	data []byte
	want []codec.Class
}

func (b *builder) add(class codec.Class, data []byte) {
	b.data = append(b.data, data...)
	for range data {
		b.want = append(b.want, class)
	}
}

// check finds sections in the file and fails if less than share of the bytes
// is right.
func (b *builder) check(t *testing.T, share float64) []sections.Section {
	t.Helper()
	found, err := sections.Find(t.Context(), bytes.NewReader(b.data), 0, int64(len(b.data)))
	if err != nil {
		t.Fatal(err)
	}
	covers(t, found, 0, int64(len(b.data)))
	right := 0
	for i, c := range paint(found, len(b.data)) {
		if c == b.want[i] {
			right++
		}
	}
	got := float64(right) / float64(len(b.data))
	t.Logf("%.4f of %d bytes right, %d sections", got, len(b.data), len(found))
	if got < share {
		rate(t, b.want, paint(found, len(b.data)))
		t.Errorf("%.4f of the bytes right, want %v: %v", got, share, found[:min(len(found), 40)])
	}
	return found
}
