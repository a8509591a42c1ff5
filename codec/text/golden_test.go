package text_test

import (
	"bytes"
	"hash/crc32"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/text"
)

// The coded bytes are a format: what one version codes, all later ones decode,
// on every architecture. They must never change.
func TestGolden(t *testing.T) {
	old := []byte("node { name: \"/encoder/0/Conv\" input: 1 }\nnode { name: \"/encoder/0/Relu\" input: 2 }\n")
	now := []byte("node { name: \"/encoder/0/act/Conv\" input: 1 }\nnode { name: \"/encoder/0/act/Relu\" input: 3 }\n")
	for _, c := range []struct {
		name string
		old  []byte
		runs []run
		want []byte
	}{
		{"old", old, []run{{now[:40], 0}, {now[40:], 36}}, goldenOld},
		{"alone", nil, []run{{now, -1}}, goldenAlone},
	} {
		if got := roundTrip(t, c.old, c.runs); !bytes.Equal(got, c.want) {
			t.Errorf("%s: %#v", c.name, got)
		}
	}
	long, other := words(5, 150_000), words(6, 60_000)
	runs := []run{
		{append(bytes.Clone(other[:10_000]), long[70_000:100_000]...), 70_000},
		{noise(40_000), -1},
		{other[5_000:15_000], 5},
		{long[3:2000], 1},
	}
	const want = 0x7f3c7527
	if got := crc32.ChecksumIEEE(roundTrip(t, long, runs)); got != want {
		t.Errorf("longer runs have CRC %#x, want %#x", got, uint32(want))
	}
}

var (
	goldenOld   = []byte{0x66, 0x3c, 0x62, 0x41, 0x40, 0xb3, 0x1, 0xd8, 0xf, 0x15}
	goldenAlone = []byte{0x9b, 0xb6, 0xa2, 0x2d, 0x4e, 0xaa, 0xf8, 0xf5, 0x8c, 0xeb, 0x6c, 0x88, 0x7a, 0x46, 0x7e, 0x78, 0xa9, 0x27, 0xb, 0x85, 0x95, 0x22, 0x3a, 0xb5, 0x4c, 0xd6, 0xe2, 0x39, 0xf0, 0x4d, 0xb3, 0x62, 0x7, 0x73, 0x81, 0x88, 0x26, 0xb5, 0x82, 0x25, 0xb5, 0x2, 0x99, 0x2c, 0x0, 0xe3, 0x46, 0xd9, 0xd5, 0x25, 0x0, 0x1f}
)

// Decoding anything, with any lengths and hints, ends without a panic.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{}, []byte{}, uint16(100), int64(0))
	f.Add([]byte("some old bytes, and some old bytes again"), goldenOld, uint16(500), int64(3))
	f.Add(words(1, 3000), bytes.Repeat([]byte{0xff}, 40), uint16(2000), int64(1<<40))
	f.Add(noise(700), noise(900), uint16(5000), int64(-9))
	f.Fuzz(func(t *testing.T, old, data []byte, n uint16, hint int64) {
		dec := mix.NewDecoder(data)
		o, err := text.NewOld(bytes.NewReader(old), int64(len(old)), text.MinBudget)
		if err != nil {
			t.Fatal(err)
		}
		m := text.NewModel(o, hint)
		for range 2 {
			if m.Code(t.Context(), dec, hint, make([]byte, n)) != nil {
				return
			}
			hint = hint*7 + 1
		}
	})
}
