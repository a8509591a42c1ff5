package synth

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// ofHalf is the number of a finite binary16.
func ofHalf(h uint16) float64 {
	exp, frac := int(h>>10&31), float64(h&1023)
	v := math.Ldexp(frac, -24)
	if exp > 0 {
		v = math.Ldexp(1024+frac, exp-25)
	}
	if h>>15 == 1 {
		return -v
	}
	return v
}

// TestHalf goes through every finite binary16: it is its own nearest one, and
// halfway to the next the even one is.
func TestHalf(t *testing.T) {
	for h := range uint16(0x7c00) {
		v := ofHalf(h)
		if got := half(float32(v)); got != h {
			t.Fatalf("half(%g) = %#x, want %#x", v, got, h)
		}
		if got := half(float32(-v)); got != h|0x8000 && v != 0 {
			t.Fatalf("half(%g) = %#x, want %#x", -v, got, h|0x8000)
		}
		if h == 0x7bff {
			break
		}
		middle := float32((v + ofHalf(h+1)) / 2)
		for _, tt := range []struct {
			v    float32
			want uint16
		}{
			{middle, h + h&1},
			{math.Nextafter32(middle, 0), h},
			{math.Nextafter32(middle, 1e6), h + 1},
		} {
			if got := half(tt.v); got != tt.want {
				t.Fatalf("half(%g) = %#x, want %#x", tt.v, got, tt.want)
			}
		}
	}
	for _, tt := range []struct {
		v    float32
		want uint16
	}{{65519, 0x7bff}, {65520, 0x7c00}, {float32(math.Inf(-1)), 0xfc00}, {1e-30, 0}} {
		if got := half(tt.v); got != tt.want {
			t.Errorf("half(%g) = %#x, want %#x", tt.v, got, tt.want)
		}
	}
}

func TestBrain(t *testing.T) {
	for _, tt := range []struct {
		bits uint32
		want uint16
	}{{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, {0xbf7fffff, 0xbf80}} {
		if got := brain(math.Float32frombits(tt.bits)); got != tt.want {
			t.Errorf("brain(%#x) = %#x, want %#x", tt.bits, got, tt.want)
		}
	}
}

// TestQuantize8 takes the scales of rows and of columns.
func TestQuantize8(t *testing.T) {
	x := tensor{name: "x", shape: []int{2, 2}, data: []float32{127, -254, 12.5, 25.4}}
	for _, tt := range []struct {
		inOut  bool
		values []byte
		scales []float32
	}{
		{false, []byte{64, 0x81, 62, 127}, []float32{2, float32(25.4) / 127}},
		{true, []byte{127, 0x81, 12, 13}, []float32{1, 2}},
	} {
		got := quantize8([]tensor{x}, tt.inOut)
		if !slices.Equal(got[0].data, tt.values) {
			t.Errorf("columns %v: values %v, want %v", tt.inOut, got[0].data, tt.values)
		}
		for i, want := range tt.scales {
			if s := math.Float32frombits(binary.LittleEndian.Uint32(got[1].data[4*i:])); s != want {
				t.Errorf("columns %v: scale %g, want %g", tt.inOut, s, want)
			}
		}
	}
}

func TestQuantizeQ8(t *testing.T) {
	data := make([]float32, 64)
	data[3], data[4], data[40] = 127, -1, -0.5
	got := quantizeQ8(data)
	if len(got) != 68 || got[2+3] != 127 || int8(got[2+4]) != -1 || int8(got[34+2+8]) != -127 {
		t.Errorf("blocks %v", got)
	}
	if s := ofHalf(binary.LittleEndian.Uint16(got)); s != 1 {
		t.Errorf("scale %g, want 1", s)
	}
}
