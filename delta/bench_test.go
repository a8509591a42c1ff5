//go:build unix

package delta

import (
	"bytes"
	"encoding/binary"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// cpu returns the time that all threads of the process took.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// perCPU runs f in a benchmark loop and reports MB of the new file per second
// and per CPU second: on a machine that does other things, too, only the latter
// says much.
func perCPU(b *testing.B, size int, f func()) {
	b.SetBytes(int64(size))
	before := cpu(b)
	n := 0
	for b.Loop() {
		f()
		n++
	}
	b.ReportMetric(float64(n)*float64(size)/1e6/(cpu(b)-before).Seconds(), "MB/cpu-s")
}

// halves turns f32 into the bf16 that they begin with.
func halves(wide []byte) []byte {
	out := make([]byte, 0, len(wide)/2)
	for i := 0; i < len(wide); i += 4 {
		out = binary.LittleEndian.AppendUint16(out, uint16(binary.LittleEndian.Uint32(wide[i:])>>16))
	}
	return out
}

// Byte planes of the differences between 64 MiB of weights, in frames as Encode
// cuts them.
func BenchmarkPlanes(b *testing.B) {
	const size = 64 << 20
	for _, c := range []struct {
		name  string
		class codec.Class
		make  func(seed uint64) []byte
	}{
		{"f32", codec.F32, func(seed uint64) []byte { return weightBytes(seed, size/4) }},
		{"bf16", codec.BF16, func(seed uint64) []byte { return halves(weightBytes(seed, size/2)) }},
	} {
		var old *view
		var next []byte
		var steps []op
		var sides [][]byte
		coded := 0
		ready := func(b *testing.B) {
			if old == nil {
				old, next = openView(b, c.make(1)), c.make(2)
			}
		}
		planes := new(codec.Coder)
		encode := func(b *testing.B) {
			steps, sides, coded = steps[:0], sides[:0], 0
			for at := 0; at < size; at += fastFrameBytes {
				f := newFrameCoder(old, nil, mix.NewEncoder(nil), planes)
				o := op{size: fastFrameBytes, from: int64(at), class: c.class}
				if _, err := f.addPlanes(b.Context(), &o, next[at:at+fastFrameBytes]); err != nil {
					b.Fatal(err)
				}
				steps, sides, coded = append(steps, o), append(sides, f.side), coded+len(f.side)
			}
		}
		b.Run(c.name+"/encode", func(b *testing.B) {
			ready(b)
			perCPU(b, size, func() { encode(b) })
			b.ReportMetric(float64(coded)/size, "share")
		})
		b.Run(c.name+"/decode", func(b *testing.B) {
			ready(b)
			encode(b)
			out := make([]byte, fastFrameBytes)
			perCPU(b, size, func() {
				for i := range steps {
					f := newFrameCoder(old, nil, mix.NewDecoder(nil), planes)
					f.side = sides[i]
					if err := f.joinPlanes(b.Context(), &steps[i], out); err != nil {
						b.Fatal(err)
					}
				}
			})
			if !bytes.Equal(out, next[size-fastFrameBytes:]) {
				b.Fatal("decoded other numbers without an error")
			}
		})
	}
}

// benchmark codes and decodes a whole pair.
func benchmark(b *testing.B, old, next []byte, effort codec.Effort) {
	opt := Options{Effort: effort}
	b.Run("encode", func(b *testing.B) {
		perCPU(b, len(next), func() {
			if _, err := Encode(b.Context(), version(old), version(next), io.Discard, opt); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("decode", func(b *testing.B) {
		data := encode(b, old, next, opt)
		perCPU(b, len(next), func() {
			if err := Decode(b.Context(), version(old), bytes.NewReader(data), io.Discard, opt); err != nil {
				b.Fatal(err)
			}
		})
	})
}

// Context mixing of a model whose weights all moved a little.
func BenchmarkStrong(b *testing.B) {
	benchmark(b, modelBytes(1, 4<<20), modelBytes(2, 4<<20), codec.Strong)
}

// Everything is the same but a head at the end.
func BenchmarkCopies(b *testing.B) {
	old := modelBytes(1, 16<<20)
	next := bytes.Clone(old)
	copy(next[len(next)-64<<10:], weightBytes(5, 16<<10))
	benchmark(b, old, next, codec.Strong)
}
