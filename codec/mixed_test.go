package codec_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// denseKind is an array of independent normally distributed numbers, which hold
// nothing but their entropy: bits each, integrated over the distribution.
type denseKind struct {
	name  string
	dtype manifest.DType
	class codec.Class
	bits  float64
	next  func(*rand.Rand) uint64
}

var dense = []denseKind{
	{"f32", "f32", codec.F32, 26.463, func(r *rand.Rand) uint64 { return uint64(math.Float32bits(float32(0.02 * r.NormFloat64()))) }},
	{"bf16", "bf16", codec.BF16, 10.486, func(r *rand.Rand) uint64 {
		return uint64(math.Float32bits(float32(0.02*r.NormFloat64()))+1<<15) >> 16
	}},
	{"f16", "f16", codec.F16, 13.434, func(r *rand.Rand) uint64 { return half(0.02 * r.NormFloat64()) }},
	{"i8", "i8", codec.Int8, 6.954, func(r *rand.Rand) uint64 {
		return uint64(uint8(int8(math.Round(min(max(30*r.NormFloat64(), -128), 127)))))
	}},
	{"i16", "i16", codec.I16, 9.954, func(r *rand.Rand) uint64 { return uint64(uint16(int16(math.Round(240 * r.NormFloat64())))) }},
}

// half returns the bits of the f16 next to x, towards 0; |x| < 1.
func half(x float64) uint64 {
	b := math.Float32bits(float32(x))
	e := int(b>>23&255) - 112
	if e <= 0 {
		return uint64(b >> 16 & 0x8000)
	}
	return uint64(b>>16&0x8000 | uint32(e)<<10 | b>>13&0x3ff)
}

func (d denseKind) make(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(d.class), 7))
	var out []byte
	for len(out) < n {
		out = append(out, binary.LittleEndian.AppendUint64(nil, d.next(r))[:d.class.Width()]...)
	}
	return out
}

// frames codes data in chunks of 128 KiB and returns their length in sum.
func frames(tb testing.TB, c *codec.Coder, data []byte, l *manifest.Layout, effort codec.Effort) (total int) {
	tb.Helper()
	for at := 0; at < len(data); at += chunkBytes {
		chunk := data[at:min(at+chunkBytes, len(data))]
		segs := codec.Segments(nil, l, uint64(at), len(chunk))
		f, err := c.Encode(nil, chunk, segs, effort)
		if err != nil {
			tb.Fatal(err)
		}
		total += len(f.AppendHeader(nil)) + len(f.Payload)
		got, err := c.Decode(nil, f, len(chunk), segs)
		if err != nil || !bytes.Equal(got, chunk) {
			tb.Fatalf("%s frame does not come back: %v", f.Encoding, err)
		}
	}
	return total
}

// Dense numbers take what they hold, chunk by chunk, whether the layout knows
// them or nobody does.
func TestNearEntropy(t *testing.T) {
	c := &codec.Coder{}
	for _, d := range dense {
		for _, tt := range []struct {
			name   string
			offset int
			tensor bool
			most   float64 // of the entropy
		}{
			{"tensor", 0, true, 1.005},
			{"no layout", 0, false, 1.006},
			{"no layout, shifted", 3, false, 1.006},
		} {
			t.Run(d.name+"/"+tt.name, func(t *testing.T) {
				data := append(noise(tt.offset, 3), d.make(2*chunkBytes)...)
				l := &manifest.Layout{Size: uint64(len(data))}
				if tt.tensor {
					l.Tensors = []manifest.Tensor{{DType: d.dtype, Length: l.Size}}
				}
				ideal := d.bits / 8 * float64(len(data)/d.class.Width())
				if got := frames(t, c, data, l, codec.Strong); float64(got) > tt.most*ideal {
					t.Errorf("%d bytes take %d, %.4f of their entropy, want %.4f", len(data), got, float64(got)/ideal, tt.most)
				}
			})
		}
	}
}

// TestMixedIsAFormat pins the mixed frames of each class, which every later
// version must read.
func TestMixedIsAFormat(t *testing.T) {
	c := &codec.Coder{}
	want := map[string]string{
		"f32": "8b36d38b9a7dbc9a", "bf16": "e87ff119e35f7d72", "f16": "2ea6e788b746519d",
		"i8": "218ecd298e665caf", "i16": "e96aede1f48bb6f4", "guessed": "f690b4f75d9e2754",
	}
	check := func(name string, chunk []byte, segs []codec.Segment) {
		f := throughWire(t, c, chunk, segs, codec.Strong)
		sum := manifest.SumDigest(append(f.AppendHeader(nil), f.Payload...)).String()[:16]
		if f.Encoding != codec.Mixed || sum != want[name] {
			t.Errorf("%s: %s frame with digest %s, want %s", name, f.Encoding, sum, want[name])
		}
	}
	var all []byte
	for _, d := range dense {
		chunk := formatNumbers(d.class, 20<<10)
		check(d.name, chunk, []codec.Segment{{Class: d.class, Bytes: len(chunk)}})
		all = append(all, chunk...)
	}
	check("guessed", all[1:], []codec.Segment{{Class: codec.Other, Bytes: len(all) - 1}})
}

// formatNumbers makes numbers of integers alone, the same on every machine: of
// each magnitude many, zeros, and some of any bits.
func formatNumbers(class codec.Class, n int) (out []byte) {
	r := rand.New(rand.NewPCG(1, uint64(class)))
	w := class.Width()
	mantissa, middle := 0, uint64(0)
	switch class {
	case codec.F32:
		mantissa, middle = 23, 120
	case codec.BF16:
		mantissa, middle = 7, 120
	case codec.F16:
		mantissa, middle = 10, 12
	}
	for len(out) < n {
		x := r.Uint64()
		switch {
		case x%16 == 0:
			x = 0
		case x%257 == 1:
		case mantissa > 0:
			scale := uint64(0)
			for scale < 9 && x>>(40+scale)&1 == 1 {
				scale++
			}
			x = x>>63<<(8*w-1) | (middle-scale)<<mantissa | x&(1<<mantissa-1)
		default:
			x = uint64(int64(x) >> (64 - 3*w + int(x&3)))
		}
		out = append(out, binary.LittleEndian.AppendUint64(nil, x)[:w]...)
	}
	return out
}

// Whatever the numbers, they come back: each class, lengths around all bounds,
// specials, zeros and noise, known and unknown.
func TestMixedRoundTrip(t *testing.T) {
	c := &codec.Coder{}
	rapid.Check(t, func(t *rapid.T) {
		var chunk []byte
		var segs []codec.Segment
		for range rapid.IntRange(1, 3).Draw(t, "segments") {
			class := codec.Class(rapid.IntRange(0, int(codec.I64)).Draw(t, "class"))
			n := rapid.SampledFrom([]int{8, 264, 4088, 4096, 16384, 16392, 32760, 49160}).Draw(t, "bytes")
			holds := codec.Class(rapid.IntRange(0, int(codec.I64)).Draw(t, "holds"))
			data := formatNumbers(holds, n)
			if rapid.Bool().Draw(t, "pruned") {
				for i := range data {
					if i/holds.Width()%3 > 0 {
						data[i] = 0
					}
				}
			}
			chunk = append(chunk, data...)
			segs = append(segs, codec.Segment{Class: class, Bytes: len(data)})
		}
		f, err := c.Encode(nil, chunk, segs, codec.Strong)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(nil, f, len(chunk), segs)
		if err != nil || !bytes.Equal(got, chunk) {
			t.Fatalf("%s: %v", f.Encoding, err)
		}
	})
}

// Bytes that are known to be no numbers are never mixed, so that deltas and
// blocks stay readable for everybody.
func TestNilSegmentsAreNotMixed(t *testing.T) {
	f := throughWire(t, &codec.Coder{}, weights(100_000, 9), nil, codec.Strong)
	if f.Encoding == codec.Mixed {
		t.Error("bytes of no model are mixed")
	}
}

// Each byte of a mixed frame is checked: what says how to read it, its lengths,
// its end.
func TestWrongMixedFramesAreRefused(t *testing.T) {
	c := &codec.Coder{}
	chunk := formatNumbers(codec.F32, 40<<10)
	other := []codec.Segment{{Class: codec.Other, Bytes: len(chunk)}}
	f := throughWire(t, c, chunk, other, codec.Strong)
	if f.Encoding != codec.Mixed || f.Payload[0] != byte(codec.F32) || f.Payload[2] != 1 {
		t.Fatalf("%s % x", f.Encoding, f.Payload[:4])
	}
	edit := func(at int, b ...byte) []byte {
		p := bytes.Clone(f.Payload)
		copy(p[at:], b)
		return p
	}
	end := len(f.Payload)
	for name, payload := range map[string][]byte{
		"empty":             {},
		"only kinds":        f.Payload[:2],
		"no such class":     edit(0, byte(codec.F64)),
		"integer bytes":     edit(0, byte(codec.Int8)),
		"no such phase":     edit(0, byte(codec.F32)|4<<4),
		"no such way":       edit(2, 2),
		"length too long":   edit(3, 0xff, 0xff, 0xff),
		"length not short":  append(append(bytes.Clone(f.Payload[:3]), 0x80, 0), f.Payload[4:]...),
		"bits too few":      edit(3, 1, 0),
		"ends early":        f.Payload[:end-1],
		"goes on":           append(bytes.Clone(f.Payload), 0),
		"planes cut in two": f.Payload[:end-20<<10],
	} {
		room := bytes.Repeat([]byte{0xaa}, len(chunk)+100)
		_, err := c.Decode(room, codec.Frame{Encoding: codec.Mixed, RawBytes: len(chunk), Payload: payload}, len(chunk), other)
		if !errors.Is(err, codec.ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(room[len(chunk):], bytes.Repeat([]byte{0xaa}, 100)) {
			t.Errorf("%s: wrote past the chunk", name)
		}
	}
}
