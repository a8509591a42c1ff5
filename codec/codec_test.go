package codec_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

var efforts = []codec.Effort{codec.Light, codec.Fast, codec.Strong}

// weights returns n bytes of normally distributed f32, as trained layers have.
func weights(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	out := make([]byte, 0, n+4)
	for len(out) < n {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(rng.NormFloat64())*0.05))
	}
	return out[:n]
}

func noise(n int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(rng.Uint32())
	}
	return out
}

// throughWire encodes, writes and reads the frame, and decodes.
func throughWire(t *testing.T, c *codec.Coder, chunk []byte, segs []codec.Segment, e codec.Effort) codec.Frame {
	t.Helper()
	f, err := c.Encode(nil, chunk, segs, e)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Payload) > len(chunk) {
		t.Fatalf("%s payload of %d bytes for %d", f.Encoding, len(f.Payload), len(chunk))
	}
	back, err := codec.ParseFrame(append(f.AppendHeader(nil), f.Payload...))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(nil, back, len(chunk), segs)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, chunk) {
		t.Fatalf("%s does not give the chunk back", f.Encoding)
	}
	return f
}

func TestSmallestWins(t *testing.T) {
	c := &codec.Coder{}
	f32 := func(n int) []codec.Segment { return []codec.Segment{{Class: codec.F32, Bytes: n}} }
	const n = 300 << 10
	text := []byte(strings.Repeat("a chunk is a run of bytes of one tensor of the model. ", n/50))[:n]
	for _, tt := range []struct {
		name     string
		chunk    []byte
		segs     []codec.Segment
		effort   codec.Effort
		encoding codec.Encoding
		most     float64 // of the chunk
	}{
		{"dense weights on a LAN", weights(n, 1), f32(n), codec.Light, codec.Raw, 1},
		{"dense weights on a WAN", weights(n, 1), f32(n), codec.Fast, codec.Planes, 0.85},
		{"dense weights on a narrow link", weights(n, 1), f32(n), codec.Strong, codec.Mixed, 0.83},
		{"weights of no known type", weights(n, 1), nil, codec.Fast, codec.Planes, 0.97},
		{"weights of no known type on a narrow link", weights(n, 1), []codec.Segment{{Class: codec.Other, Bytes: n}}, codec.Strong, codec.Mixed, 0.83},
		{"noise", noise(n, 1), f32(n), codec.Strong, codec.Raw, 1},
		{"zeros on a LAN", make([]byte, n), f32(n), codec.Light, codec.Planes, 0.001},
		{"text", text, nil, codec.Fast, codec.Zstd, 0.01},
		{"text on a LAN", text, nil, codec.Light, codec.Zstd, 0.01},
		{"empty", nil, nil, codec.Strong, codec.Raw, 1},
		{"one byte", []byte{7}, nil, codec.Strong, codec.Raw, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := throughWire(t, c, tt.chunk, tt.segs, tt.effort)
			if f.Encoding != tt.encoding || float64(len(f.Payload)) > tt.most*float64(len(tt.chunk)) {
				t.Errorf("%s with %d bytes for %d; want %s, at most %.3f of it", f.Encoding, len(f.Payload), len(tt.chunk), tt.encoding, tt.most)
			}
		})
	}
}

// TestSameBytesOut pins frames: a change here is a change of the format, or of
// the compressor, and makes nodes of different versions code differently.
func TestSameBytesOut(t *testing.T) {
	c := &codec.Coder{}
	const n = 200<<10 + 3
	chunk := append(weights(n-1000, 2), bytes.Repeat([]byte("graph"), 200)...)
	segs := []codec.Segment{{Class: codec.F32, Bytes: 150 << 10}, {Class: codec.F64, Bytes: 8 << 10}, {Class: codec.BF16, Bytes: 40 << 10}, {Class: codec.Other, Bytes: n - 198<<10}}
	for _, tt := range []struct {
		effort codec.Effort
		digest string
	}{
		{codec.Light, "4ddb76f2e44ae961"},
		{codec.Fast, "22bda3cff61f70af"},
		{codec.Strong, "53c56f9447d2d8ac"},
	} {
		f := throughWire(t, c, chunk, segs, tt.effort)
		if got := manifest.SumDigest(append(f.AppendHeader(nil), f.Payload...)).String()[:16]; got != tt.digest {
			t.Errorf("effort %d: %s frame of %d bytes has digest %s, want %s", tt.effort, f.Encoding, len(f.Payload), got, tt.digest)
		}
	}
}

func TestRoundTripProperty(t *testing.T) {
	c := &codec.Coder{}
	dtypes := []manifest.DType{"f64", "f32", "f16", "bf16", "f8e4m3", "i64", "u32", "i16", "i8", "i4", "bool", "c64", "c128", "bytes", "gguf:Q4_0"}
	rapid.Check(t, func(t *rapid.T) {
		l := &manifest.Layout{}
		for range rapid.IntRange(0, 6).Draw(t, "tensors") {
			l.Size += uint64(rapid.IntRange(0, 40).Draw(t, "gap"))
			n := uint64(rapid.IntRange(1, 3000).Draw(t, "length"))
			l.Tensors = append(l.Tensors, manifest.Tensor{DType: rapid.SampledFrom(dtypes).Draw(t, "dtype"), Offset: l.Size, Length: n})
			l.Size += n
		}
		l.Size += uint64(rapid.IntRange(0, 40).Draw(t, "tail"))
		from := rapid.Uint64Range(0, l.Size).Draw(t, "from")
		to := rapid.Uint64Range(from, l.Size).Draw(t, "to")
		file := weights(int(l.Size), rapid.Uint64().Draw(t, "seed"))
		if rapid.Bool().Draw(t, "sparse") {
			for i := range file {
				if i%7 != 0 {
					file[i] = 0
				}
			}
		}
		chunk := file[from:to]
		segs := codec.Segments(nil, l, from, len(chunk))
		f, err := c.Encode(nil, chunk, segs, rapid.SampledFrom(efforts).Draw(t, "effort"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(make([]byte, rapid.IntRange(0, 5000).Draw(t, "room")), f, len(chunk), segs)
		if err != nil || !bytes.Equal(got, chunk) {
			t.Fatalf("%s: %v", f.Encoding, err)
		}
	})
}

func TestSegments(t *testing.T) {
	l := &manifest.Layout{Size: 100, Tensors: []manifest.Tensor{
		{DType: "f32", Offset: 10, Length: 40},
		{DType: "f32", Offset: 50, Length: 8},
		{DType: "i8", Offset: 60, Length: 5},
		{DType: "gguf:Q8_0", Offset: 70, Length: 20},
	}}
	s := func(pairs ...int) (segs []codec.Segment) {
		for i := 0; i < len(pairs); i += 2 {
			segs = append(segs, codec.Segment{Class: codec.Class(pairs[i]), Bytes: pairs[i+1]})
		}
		return segs
	}
	const o, i8, f32 = int(codec.Other), int(codec.Int8), int(codec.F32)
	for _, tt := range []struct {
		offset uint64
		length int
		want   []codec.Segment
	}{
		{0, 100, s(o, 10, f32, 48, o, 2, i8, 5, o, 35)},
		{0, 10, s(o, 10)},
		{12, 10, s(o, 2, f32, 8)}, // begins within an element
		{14, 6, s(f32, 4, o, 2)},  // ends within one
		{15, 2, s(o, 2)},          // lies within one
		{48, 4, s(o, 4)},          // the end of one, the start of the next
		{62, 20, s(i8, 3, o, 17)}, // begins within a tensor
		{90, 10, s(o, 10)},
		{20, 0, nil}, // after all tensors; nothing
	} {
		if got := codec.Segments(nil, l, tt.offset, tt.length); !slices.Equal(got, tt.want) {
			t.Errorf("%d+%d: %v, want %v", tt.offset, tt.length, got, tt.want)
		}
	}
}

func TestWrongFramesAreRefused(t *testing.T) {
	c := &codec.Coder{}
	chunk := weights(10000, 3)
	segs := []codec.Segment{{Class: codec.F32, Bytes: 10000}}
	f, err := c.Encode(nil, chunk, segs, codec.Fast)
	if err != nil || f.Encoding != codec.Planes {
		t.Fatal(f.Encoding, err)
	}
	wire := append(f.AppendHeader(nil), f.Payload...)
	edit := func(at int, b byte) []byte { w := bytes.Clone(wire); w[at] = b; return w }
	for name, tt := range map[string]struct {
		wire []byte
		want error
	}{
		"version":             {edit(0, 2), codec.ErrEncoding},
		"encoding":            {edit(1, 4), codec.ErrEncoding},
		"basis":               {edit(2, 1), codec.ErrEncoding},
		"empty":               {nil, codec.ErrFrame},
		"longer than raw":     {append([]byte{1, 1, 0, 2}, 1, 2, 3), codec.ErrFrame},
		"raw too short":       {[]byte{1, 0, 0, 2, 1}, codec.ErrFrame},
		"huge":                {binary.AppendUvarint([]byte{1, 0, 0}, codec.MaxRawBytes+1), codec.ErrFrame},
		"long form of length": {[]byte{1, 0, 0, 0x80, 0}, codec.ErrFrame},
	} {
		if _, err := codec.ParseFrame(tt.wire); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	bomb := zeros(t, c)
	for name, tt := range map[string]struct {
		frame codec.Frame
		want  int
		segs  []codec.Segment
		err   error
	}{
		"other length":       {f, 9999, segs, codec.ErrFrame},
		"other segments":     {f, 10000, segs[:0], codec.ErrSegments},
		"odd segments":       {f, 10000, []codec.Segment{{Class: codec.F32, Bytes: 9999}, {Class: codec.Int8, Bytes: 1}}, codec.ErrSegments},
		"unknown encoding":   {codec.Frame{Encoding: 9, RawBytes: 4}, 4, nil, codec.ErrEncoding},
		"truncated":          {codec.Frame{Encoding: codec.Planes, RawBytes: 10000, Payload: f.Payload[:len(f.Payload)-1]}, 10000, segs, codec.ErrFrame},
		"trailing":           {codec.Frame{Encoding: codec.Planes, RawBytes: 10000, Payload: append(bytes.Clone(f.Payload), 0)}, 10000, segs, codec.ErrFrame},
		"bomb":               {codec.Frame{Encoding: codec.Zstd, RawBytes: 1000, Payload: bomb}, 1000, nil, codec.ErrFrame},
		"zstd of too little": {codec.Frame{Encoding: codec.Zstd, RawBytes: 1 << 21, Payload: bomb}, 1 << 21, nil, codec.ErrFrame},
	} {
		// Room beyond what is wanted must stay untouched.
		room := bytes.Repeat([]byte{0xaa}, 1<<21+100)
		if _, err := c.Decode(room, tt.frame, tt.want, tt.segs); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", name, err, tt.err)
		}
		if i := slices.IndexFunc(room[tt.want:], func(b byte) bool { return b != 0xaa }); i >= 0 {
			t.Errorf("%s: wrote to byte %d, past %d", name, tt.want+i, tt.want)
		}
	}
}

// zeros returns a zstd frame of few bytes that stands for 1 MiB.
func zeros(t *testing.T, c *codec.Coder) []byte {
	f, err := c.Encode(nil, bytes.Repeat([]byte("ab"), 1<<19), nil, codec.Strong)
	if err != nil || f.Encoding != codec.Zstd {
		t.Fatal(f.Encoding, err)
	}
	return bytes.Clone(f.Payload)
}

func TestConcurrentUse(t *testing.T) {
	c := &codec.Coder{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			chunk := weights(40000, uint64(i))
			segs := []codec.Segment{{Class: codec.F32, Bytes: 40000}}
			for _, e := range efforts {
				throughWire(t, c, chunk, segs, e)
			}
		})
	}
	wg.Wait()
}

func FuzzDecode(f *testing.F) {
	c := &codec.Coder{}
	chunk := append(weights(600, 4), "tail of text text text"...)
	seed := []byte{byte(codec.F32), byte(codec.I16), byte(codec.Other)}
	segs := fuzzSegments(seed, len(chunk))
	for _, e := range efforts {
		frame, err := c.Encode(nil, chunk, segs, e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(frame.AppendHeader(nil), frame.Payload...), seed)
	}
	long := formatNumbers(codec.F32, 20<<10)
	for _, classes := range [][]byte{{byte(codec.Other)}, {byte(codec.F32), byte(codec.I16), byte(codec.F16)}} {
		frame, err := c.Encode(nil, long, fuzzSegments(classes, len(long)), codec.Strong)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(frame.AppendHeader(nil), frame.Payload...), classes)
	}
	wire, _ := hex.DecodeString("0101000a28b52ffd2000010000")
	f.Add(wire, seed)
	f.Fuzz(func(t *testing.T, wire, classes []byte) {
		frame, err := codec.ParseFrame(wire)
		if err != nil {
			return
		}
		if again := append(frame.AppendHeader(nil), frame.Payload...); !bytes.Equal(again, wire) {
			t.Fatalf("accepted %x, writes %x", wire, again)
		}
		const guard = 64
		room := make([]byte, frame.RawBytes+guard)
		segs := fuzzSegments(classes, frame.RawBytes)
		got, err := c.Decode(room, frame, frame.RawBytes, segs)
		if err == nil && len(got) != frame.RawBytes {
			t.Fatalf("%d bytes, declared %d", len(got), frame.RawBytes)
		}
		if !bytes.Equal(room[frame.RawBytes:], make([]byte, guard)) {
			t.Fatal("wrote past the declared length")
		}
	})
}

// fuzzSegments spreads length over the classes; what does not fit is Other.
func fuzzSegments(classes []byte, length int) (segs []codec.Segment) {
	for i, b := range classes {
		n := length / (len(classes) - i) / 8 * 8
		if n > 0 {
			segs = append(segs, codec.Segment{Class: codec.Class(b) % (codec.I64 + 1), Bytes: n})
			length -= n
		}
	}
	if length > 0 {
		segs = append(segs, codec.Segment{Class: codec.Other, Bytes: length})
	}
	return segs
}

func FuzzRoundTrip(f *testing.F) {
	c := &codec.Coder{}
	f.Add(weights(200, 5), []byte{5, 2}, byte(1))
	f.Add([]byte("text text text text text"), []byte{}, byte(2))
	f.Fuzz(func(t *testing.T, chunk, classes []byte, effort byte) {
		if len(chunk) <= codec.MaxRawBytes {
			throughWire(t, c, chunk, fuzzSegments(classes, len(chunk)), efforts[int(effort)%len(efforts)])
		}
	})
}
