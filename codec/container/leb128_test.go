package container_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec/container"
)

// Numbers of any size, in sections of any length, with plain bytes between,
// come out as i16 where they fit, else as i32.
func TestLEB128Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := []byte("a net: ")
		type want struct {
			offset, length int
			wide           bool
			values         []int32
		}
		var wants []want
		for range rapid.IntRange(1, 3).Draw(t, "sections") {
			values := rapid.SliceOfN(rapid.OneOf(rapid.Int32Range(-64, 63), rapid.Int32Range(math.MinInt16, math.MaxInt16), rapid.Int32()), 64, 300).Draw(t, "values")
			values = slices.Repeat(values, rapid.SampledFrom([]int{1, 1, 400}).Draw(t, "times"))
			w := want{values: values}
			var packed []byte
			for _, v := range values {
				packed = append(packed, leb(int64(v))...)
				w.wide = w.wide || int32(int16(v)) != v
			}
			file = append(file, section(packed)...)
			w.offset, w.length = len(file)-len(packed), len(packed)
			wants = append(wants, w)
			file = append(file, rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "plain")...)
		}
		packs, err := container.Find(t.Context(), bytes.NewReader(file), int64(len(file)))
		if err != nil || len(packs) != len(wants) {
			t.Fatalf("%d of %d, %v", len(packs), len(wants), err)
		}
		for i, p := range packs {
			w := wants[i]
			var plain, run bytes.Buffer
			if err := p.Unpack(bytes.NewReader(file), &plain); err != nil {
				t.Fatal(err)
			}
			var elements []byte
			for _, v := range w.values {
				if w.wide {
					elements = binary.LittleEndian.AppendUint32(elements, uint32(v))
				} else {
					elements = binary.LittleEndian.AppendUint16(elements, uint16(v))
				}
			}
			if int(p.Offset) != w.offset || int(p.Length) != w.length || (p.DType == "i32") != w.wide || !bytes.Equal(plain.Bytes(), elements) {
				t.Fatalf("%+v, want %d+%d, wide %v", p, w.offset, w.length, w.wide)
			}
			if err := p.Repack(&plain, &run); err != nil || !bytes.Equal(run.Bytes(), file[w.offset:w.offset+w.length]) {
				t.Fatal("repacked to other bytes", err)
			}
		}
	})
}

// A section that would not repack, or is none, stays packed; the next is found.
func TestLEB128NotReported(t *testing.T) {
	good := bytes.Repeat(leb(1, -1, 300, -300, 12345), 20)
	next := section(good)
	for name, packed := range map[string][]byte{
		"zero in two bytes":       append([]byte{0x80, 0x00}, good...),
		"-1 in two bytes":         append([]byte{0xff, 0x7f}, good...),
		"longer than needed":      append(slices.Clone(good), 0xe4, 0x80, 0x00),
		"cut":                     append(slices.Clone(good), 0x80),
		"cut after three":         append(slices.Clone(good), 0x80, 0x81, 0x82),
		"past 32 bits":            append(leb(math.MaxInt32+1), good...),
		"past 32 bits, negative":  append(leb(math.MinInt32-1), good...),
		"six bytes":               append([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, good...),
		"too short to be of use":  leb(1, 2, 3),
		"empty":                   nil,
		"magic and nothing":       section(nil)[:17],
		"length past the file":    []byte("COMPRESSED_LEB128\xff\xff\xff\xff"),
		"magic cut by the next's": []byte("COMPRESSED_LEB"),
	} {
		file := slices.Concat([]byte("net "), section(packed), next)
		if name == "magic and nothing" || name == "length past the file" || name == "magic cut by the next's" {
			file = slices.Concat([]byte("net "), packed, next)
		}
		packs := find(t, file)
		if len(packs) != 1 || packs[0].Offset != int64(len(file)-len(good)) {
			t.Errorf("%s: %s", name, describe(packs))
		}
	}
	for name, file := range map[string][]byte{
		"magic at the end":         []byte("net COMPRESSED_LEB128"),
		"half a length at the end": []byte("net COMPRESSED_LEB128\x01\x02"),
	} {
		if packs := find(t, file); len(packs) != 0 {
			t.Errorf("%s: %s", name, describe(packs))
		}
	}
}

// Extremes of both widths, at every place relative to the pieces it is read in.
func TestLEB128Extremes(t *testing.T) {
	for shift := range 6 {
		file := []byte("net ")
		values := slices.Repeat([]int64{0}, 32<<10-shift)
		values = append(values, math.MaxInt32, math.MinInt32, -1, math.MaxInt16, math.MinInt16, 63, 64, -64, -65)
		packs := find(t, append(file, section(leb(values...))...))
		if len(packs) != 1 || packs[0].Unpacked != int64(4*len(values)) {
			t.Errorf("shift %d: %s", shift, describe(packs))
		}
	}
}

func TestLEB128Strict(t *testing.T) {
	packed := leb(slices.Repeat([]int64{5, -700}, 40)...)
	p := container.Pack{Length: int64(len(packed)), Kind: container.LEB128, Params: []byte{2}, Unpacked: 160}
	roundTrip(t, p, packed)
	wide := slices.Clone(packed)
	copy(wide, leb(1<<20))
	for name, c := range map[string]struct {
		unpacked int64
		data     []byte
	}{
		"more elements":  {158, packed},
		"fewer elements": {162, packed},
		"wider elements": {158, wide},
		"not shortest":   {160, append([]byte{0x80, 0}, packed[2:]...)},
	} {
		p.Unpacked = c.unpacked
		var out bytes.Buffer
		if err := p.Unpack(bytes.NewReader(c.data), &out); !errors.Is(err, container.ErrCorrupt) || int64(out.Len()) > p.Unpacked {
			t.Errorf("%s: %d bytes, %v", name, out.Len(), err)
		}
	}
}

// A file of more runs than a list may have keeps the last ones packed.
func TestFindBoundsTheList(t *testing.T) {
	one := section(leb(slices.Repeat([]int64{1}, 64)...))
	file := append([]byte("net "), bytes.Repeat(one, container.MaxPacks+3)...)
	packs, err := container.Find(t.Context(), bytes.NewReader(file), int64(len(file)))
	if err != nil || len(packs) != container.MaxPacks {
		t.Errorf("%d packs, %v", len(packs), err)
	}
}
