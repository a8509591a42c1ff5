package mix_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/mix"
	"pgregory.net/rapid"
)

// Any bits under any probabilities come back, and cost what they should.
func TestCoderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SliceOf(rapid.IntRange(0, 1)).Draw(t, "bits")
		ps := make([]uint32, len(bits))
		enc := mix.NewEncoder(nil)
		cost := 0.0
		for i, bit := range bits {
			ps[i] = rapid.Uint32Range(1, 65535).Draw(t, "p")
			if enc.Code(bit, ps[i]) != bit {
				t.Fatal("an encoder returned another bit")
			}
			p := float64(ps[i]) / 65536
			if bit == 0 {
				p = 1 - p
			}
			cost -= math.Log2(p)
		}
		data := enc.Finish()
		if float64(len(data)) > cost*1.001/8+2 {
			t.Fatalf("%d bytes for %.1f bits", len(data), cost)
		}
		dec := mix.NewDecoder(data)
		for i := range bits {
			if dec.Code(0, ps[i]) != bits[i] {
				t.Fatalf("bit %d of %d differs", i, len(bits))
			}
		}
		if err := dec.Err(); err != nil {
			t.Fatal(err)
		}
	})
}

// Whatever follows the coded bytes does not change them: several streams may
// stand one after the other only with their lengths, but zeros are implied.
func TestCoderFinishIsShort(t *testing.T) {
	for n := range 40 {
		enc := mix.NewEncoder(nil)
		for range n {
			enc.Code(1, 65535)
		}
		if got := len(enc.Finish()); got > 1 {
			t.Errorf("%d sure bits take %d bytes", n, got)
		}
	}
}

func TestDecoderEnds(t *testing.T) {
	dec := mix.NewDecoder([]byte{0xa7, 0x35, 0x91})
	for range 1000 {
		dec.Code(0, 1<<15)
	}
	if !errors.Is(dec.Err(), mix.ErrEnd) {
		t.Errorf("after 1000 bits of 24: %v", dec.Err())
	}
}

func TestBits(t *testing.T) {
	enc := mix.NewEncoder(nil)
	values := []uint32{0, 1, 0xffffffff, 0x12345678}
	for _, v := range values {
		enc.Bits(v, 32)
		enc.Bits(v, 5)
	}
	dec := mix.NewDecoder(enc.Finish())
	for _, v := range values {
		if got := dec.Bits(0, 32); got != v {
			t.Errorf("%x, want %x", got, v)
		}
		if got := dec.Bits(0, 5); got != v&31 {
			t.Errorf("%x, want %x", got, v&31)
		}
	}
}

// The tables are part of the format: they must never change. They agree with
// what floating point says within one step.
func TestTables(t *testing.T) {
	sum := crc32.NewIEEE()
	last := uint32(0)
	for x := int32(-mix.MaxLogit); x <= mix.MaxLogit; x++ {
		p := mix.Squash(x)
		if want := 65536 / (1 + math.Exp(-float64(x)/256)); math.Abs(float64(p)-want) > 1.01 {
			t.Fatalf("squash(%d) = %d, want %.2f", x, p, want)
		}
		if p < last || p < 1 || p > 65535 {
			t.Fatalf("squash(%d) = %d after %d", x, p, last)
		}
		last = p
		sum.Write([]byte{byte(p), byte(p >> 8)})
	}
	for p := uint32(1); p < 65536; p++ {
		x := mix.Stretch(p)
		if want := math.Log(float64(p)/float64(65536-p)) * 256; math.Abs(float64(x)-want) > 3+math.Abs(want)/100 && p > 8 && p < 65528 {
			t.Fatalf("stretch(%d) = %d, want %.2f", p, x, want)
		}
		sum.Write([]byte{byte(x), byte(x >> 8)})
	}
	if got := sum.Sum32(); got != tablesCRC {
		t.Errorf("tables have CRC %#x, want %#x", got, uint32(tablesCRC))
	}
}

const tablesCRC = 0x91bfc2e

// A model of one slot and a mixer finds the entropy of a biased coin.
func TestLearnsCoin(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ p, over float64 }{{0.5, 1.01}, {0.1, 1.01}, {0.01, 1.05}, {0.001, 1.22}} {
		p := c.p
		enc := mix.NewEncoder(nil)
		slot, mixer := mix.NewSlot, mix.NewMixer(1, 1, 1<<16, 2)
		const n = 200_000
		input := make([]int32, 1)
		for range n {
			bit := 0
			if random.Float64() < p {
				bit = 1
			}
			input[0] = mix.Stretch(slot.P())
			enc.Code(bit, mixer.Mix(0, input))
			mixer.Learn(bit)
			slot.Learn(bit, mix.MaxLimit)
		}
		entropy := -(p*math.Log2(p) + (1-p)*math.Log2(1-p)) * n / 8
		if got := float64(len(enc.Finish())); got > entropy*c.over+20 {
			t.Errorf("p = %v: %.0f bytes, entropy %.0f", p, got, entropy)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte{}, uint16(1))
	f.Add(bytes.Repeat([]byte{0xff}, 9), uint16(65535))
	f.Fuzz(func(t *testing.T, data []byte, p uint16) {
		dec := mix.NewDecoder(data)
		for range 4096 {
			dec.Code(0, uint32(max(p, 1)))
		}
		if dec.Bytes() > len(data) {
			t.Errorf("read %d of %d bytes", dec.Bytes(), len(data))
		}
	})
}

func BenchmarkBit(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	bits := make([]int, 1<<16)
	for i := range bits {
		bits[i] = random.IntN(2)
	}
	const contexts = 6
	slots := make([][256]mix.Slot, contexts)
	for i := range slots {
		mix.Fill(slots[i][:])
	}
	mixer := mix.NewMixer(contexts, 1, 1<<16/contexts, 2)
	inputs := make([]int32, contexts)
	enc := mix.NewEncoder(make([]byte, 0, 1<<20))
	i := 0
	for b.Loop() {
		bit := bits[i&0xffff]
		at := (i * 31) & 255
		for k := range slots {
			inputs[k] = mix.Stretch(slots[k][at].P())
		}
		enc.Code(bit, mixer.Mix(0, inputs))
		mixer.Learn(bit)
		for k := range slots {
			slots[k][at].Learn(bit, 255)
		}
		if i++; i&0xfffff == 0 {
			enc = mix.NewEncoder(make([]byte, 0, 1<<20))
		}
	}
}

// Mixers of four and eight slots code what a Mixer of as many inputs does.
func TestFixedMixers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const sets, rate, limit = 3, 6, 100
		inputs := rapid.SampledFrom([]int{4, 8}).Draw(t, "inputs")
		first := rapid.Int32Range(0, 1<<16).Draw(t, "first")
		seed := rapid.Uint64().Draw(t, "seed")
		var coded [2][]byte
		for fixed := range coded {
			random := rand.New(rand.NewPCG(seed, 1))
			var slots [64]mix.Slot
			mix.Fill(slots[:])
			enc := mix.NewEncoder(nil)
			mixer := mix.NewMixer(inputs, sets, first, rate)
			four, eight := mix.NewMixer4(sets, first, rate), mix.NewMixer8(sets, first, rate)
			for range 500 {
				var at [8]*mix.Slot
				for i := range at {
					at[i] = &slots[i*8+random.IntN(8)]
				}
				set, bit := random.IntN(sets), random.IntN(8)/7
				switch {
				case fixed == 1 && inputs == 4:
					four.Code(enc, set, (*[4]*mix.Slot)(at[:]), bit, limit)
				case fixed == 1:
					eight.Code(enc, set, &at, bit, limit)
				default:
					in := make([]int32, inputs)
					for i := range in {
						in[i] = mix.Stretch(at[i].P())
					}
					enc.Code(bit, mixer.Mix(set, in))
					mixer.Learn(bit)
					for _, s := range at[:inputs] {
						s.Learn(bit, limit)
					}
				}
			}
			coded[fixed] = enc.Finish()
		}
		if !bytes.Equal(coded[0], coded[1]) {
			t.Fatal("coded bits differ")
		}
	})
}

// A slot that codes by itself does what coding and learning one after the other
// do.
func TestSlotCodes(t *testing.T) {
	const limit = 30
	random := rand.New(rand.NewPCG(3, 4))
	alone, both := mix.NewSlot, mix.NewSlot
	one, two := mix.NewEncoder(nil), mix.NewEncoder(nil)
	for range 500 {
		bit := random.IntN(8) / 7
		if got := alone.Code(one, bit, limit); got != bit {
			t.Fatalf("coded %d, want %d", got, bit)
		}
		both.Learn(two.Code(bit, both.P()), limit)
		if alone != both {
			t.Fatalf("learned %#x, want %#x", alone, both)
		}
	}
	if !bytes.Equal(one.Finish(), two.Finish()) {
		t.Error("coded bits differ")
	}
}
