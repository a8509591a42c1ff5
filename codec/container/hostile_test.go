package container_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/dunlin-mesh/dunlin/codec/container"
	"github.com/dunlin-mesh/dunlin/codec/container/deflate"
)

var zlib6 = deflate.Recipe{Family: deflate.Zlib, Level: 6}

// A bomb is unpacked as far as the budget goes and then left packed; what was
// found before stays.
func TestFindLeavesBombsPacked(t *testing.T) {
	bomb := deflated(t, make([]byte, 80<<20), zlib6)
	harmless := deflated(t, weights(20000), zlib6)
	if packs := find(t, gzipped(harmless, bomb, harmless)); len(packs) != 1 {
		t.Errorf("bomb of %d bytes: %s", len(bomb), describe(packs))
	}
	// Sparse models are none: hundreds to one within 64 MiB.
	if packs := find(t, gzipped(deflated(t, make([]byte, 8<<20), zlib6))); len(packs) != 1 {
		t.Errorf("zeros: %s", describe(packs))
	}
}

// Entries that share bytes are looked at once.
func TestFindIgnoresOverlappingEntries(t *testing.T) {
	plain := weights(5000)
	file := zipped(t, len(plain), deflated(t, plain, zlib6), deflated(t, plain[:4000], zlib6))
	second := bytes.LastIndex(file, []byte("PK\x01\x02"))
	copy(file[second+42:second+46], []byte{0, 0, 0, 0}) // where the first entry lies
	if packs := find(t, file); len(packs) != 1 {
		t.Errorf("got %s", describe(packs))
	}
}

// What is encrypted, of another method, not where or what the directory says,
// is left out, and so is a damaged stream.
func TestFindLeavesOutWhatDoesNotFit(t *testing.T) {
	plain := weights(5000)
	stream := deflated(t, plain, zlib6)
	good := zipped(t, len(plain), stream)
	entry := bytes.LastIndex(good, []byte("PK\x01\x02"))
	end := bytes.LastIndex(good, []byte("PK\x05\x06"))
	for name, spoil := range map[string]func(b []byte) []byte{
		"encrypted":             func(b []byte) []byte { b[entry+8] |= 1; return b },
		"deflate64":             func(b []byte) []byte { b[entry+10] = 9; return b },
		"no entry":              func(b []byte) []byte { b[entry] = 'Q'; return b },
		"one byte too few":      func(b []byte) []byte { b[entry+20]--; return b },
		"one byte too many":     func(b []byte) []byte { b[entry+20]++; return b },
		"far too many":          func(b []byte) []byte { b[entry+23] = 0x7f; return b },
		"elsewhere":             func(b []byte) []byte { b[entry+42] = 1; return b },
		"past the end":          func(b []byte) []byte { b[entry+45] = 1; return b },
		"directory elsewhere":   func(b []byte) []byte { b[end+16]++; return b },
		"directory past itself": func(b []byte) []byte { b[end+19] = 0x7f; return b },
		"zip64 that is not":     func(b []byte) []byte { copy(b[end+12:], "\xff\xff\xff\xff\xff\xff\xff\xff"); return b },
		"cut":                   func(b []byte) []byte { return b[:len(b)-1] },
		"damaged":               func(b []byte) []byte { b[40+len(stream)/2] ^= 0x55; return b },
		"small":                 func(b []byte) []byte { copy(b[entry+24:], []byte{100, 0, 0, 0}); return b },
	} {
		if packs := find(t, spoil(slices.Clone(good))); len(packs) != 0 {
			t.Errorf("%s: %s", name, describe(packs))
		}
	}
	if packs := find(t, good); len(packs) != 1 {
		t.Fatal("the good one is bad")
	}
}

func TestGzipHeaders(t *testing.T) {
	stream := deflated(t, weights(5000), zlib6)
	const fixed = "\x00\x00\x00\x00\x00\x03"
	for _, c := range []struct {
		name, header string
		packs        int
	}{
		{"plain", "\x1f\x8b\x08\x00" + fixed, 1},
		{"all fields", "\x1f\x8b\x08\x1f" + fixed + "\x03\x00abcname\x00comment\x00\x12\x34", 1},
		{"endless name", "\x1f\x8b\x08\x08" + fixed + string(bytes.Repeat([]byte("n"), 20000)) + "\x00", 0},
		{"other method", "\x1f\x8b\x07\x00" + fixed, 0},
		{"cut", "\x1f\x8b\x08\x00", 0},
	} {
		file := append([]byte(c.header), stream...)
		if c.name == "cut" {
			file = []byte(c.header)
		}
		if packs := find(t, file); len(packs) != c.packs {
			t.Errorf("%s: %s", c.name, describe(packs))
		}
	}
	for n := range 40 { // extra field, name and comment cut anywhere
		file := []byte("\x1f\x8b\x08\x1f" + fixed + "\x03\x00abcname\x00comment\x00\x12\x34")
		find(t, file[:min(n, len(file))])
	}
}

// A file made to look like a stream at every byte costs no more than others.
func TestFindBoundsLooks(t *testing.T) {
	file := append([]byte("\x89HDF\r\n\x1a\n"), bytes.Repeat([]byte("\x78\x01"), 4<<20)...)
	c := &counter{r: bytes.NewReader(file)}
	if _, err := container.Find(t.Context(), c, int64(len(file))); err != nil {
		t.Fatal(err)
	}
	if limit := (64<<20+16*len(file))/4096 + 20; c.reads > limit {
		t.Errorf("%d reads, want at most %d", c.reads, limit)
	}
}

func TestUnusablePacks(t *testing.T) {
	data := make([]byte, 100)
	for name, p := range map[string]container.Pack{
		"zero":                  {},
		"kind of the future":    {Length: 10, Kind: 9, Unpacked: 10},
		"negative offset":       {Offset: -1, Length: 10, Kind: container.Deflate, Params: []byte{0, 6}, Unpacked: 10},
		"negative length":       {Length: -1, Kind: container.Deflate, Params: []byte{0, 6}},
		"past the largest file": {Offset: math.MaxInt64, Length: 1, Kind: container.Deflate, Params: []byte{0, 6}},
		"negative unpacked":     {Length: 10, Kind: container.Deflate, Params: []byte{0, 6}, Unpacked: -1},
		"impossible ratio":      {Length: 10, Kind: container.Deflate, Params: []byte{0, 6}, Unpacked: 20000},
		"no recipe":             {Length: 10, Kind: container.Deflate, Unpacked: 10},
		"no such recipe":        {Length: 10, Kind: container.Deflate, Params: []byte{0, 0}, Unpacked: 10},
		"no width":              {Length: 10, Kind: container.LEB128, Unpacked: 20},
		"odd width":             {Length: 10, Kind: container.LEB128, Params: []byte{3}, Unpacked: 30},
		"half an element":       {Length: 10, Kind: container.LEB128, Params: []byte{2}, Unpacked: 19},
		"more than bytes":       {Length: 10, Kind: container.LEB128, Params: []byte{2}, Unpacked: 22},
		"too few for the bytes": {Length: 100, Kind: container.LEB128, Params: []byte{2}, Unpacked: 20},
	} {
		var out bytes.Buffer
		if err := p.Unpack(bytes.NewReader(data), &out); !errors.Is(err, container.ErrPack) {
			t.Errorf("%s: unpack: %v", name, err)
		}
		if err := p.Repack(bytes.NewReader(data), &out); !errors.Is(err, container.ErrPack) || out.Len() > 0 {
			t.Errorf("%s: repack: %v", name, err)
		}
	}
}

// Wrong bytes, wrong lengths and broken files are errors, each of its kind, and
// no more is written than was told.
func TestPackErrors(t *testing.T) {
	plain := weights(100000)
	run := deflated(t, plain, zlib6)
	good := container.Pack{Length: int64(len(run)), Kind: container.Deflate, Params: []byte{0, 6}, Unpacked: int64(len(plain))}
	numbers := leb(slices.Repeat([]int64{1, 1000}, 30000)...)
	elements := bytes.Repeat(binary.LittleEndian.AppendUint16([]byte{1, 0}, 1000), 30000)
	nnue := container.Pack{Length: int64(len(numbers)), Kind: container.LEB128, Params: []byte{2}, Unpacked: int64(len(elements))}
	roundTrip(t, good, run)
	roundTrip(t, nnue, numbers)

	for _, c := range []struct {
		pack       container.Pack
		run, plain []byte
	}{{good, run, plain}, {nnue, numbers, elements}} {
		other := slices.Clone(c.plain)
		other[len(other)/2] ^= 0xff
		for name, spoil := range map[string]func(p *container.Pack){
			"unpacks to less": func(p *container.Pack) { p.Unpacked += 2 },
			"unpacks to more": func(p *container.Pack) { p.Unpacked -= 2 },
			"ends later":      func(p *container.Pack) { p.Length-- },
			"ends earlier":    func(p *container.Pack) { p.Length++ },
		} {
			p := c.pack
			spoil(&p)
			var unpacked, repacked bytes.Buffer
			if err := p.Unpack(bytes.NewReader(append(slices.Clone(c.run), 0x80)), &unpacked); !errors.Is(err, container.ErrCorrupt) || int64(unpacked.Len()) > p.Unpacked {
				t.Errorf("%v %s: unpack: %d bytes, %v", p.Kind, name, unpacked.Len(), err)
			}
			if err := p.Repack(bytes.NewReader(c.plain), &repacked); !errors.Is(err, container.ErrCorrupt) || int64(repacked.Len()) > p.Length {
				t.Errorf("%v %s: repack: %d bytes, %v", p.Kind, name, repacked.Len(), err)
			}
		}
		if err := c.pack.Repack(io.MultiReader(bytes.NewReader(c.plain[:5000]), iotest.ErrReader(errDisk)), io.Discard); !errors.Is(err, errDisk) {
			t.Errorf("%v: error of the source became %v", c.pack.Kind, err)
		}
		if err := c.pack.Repack(io.MultiReader(bytes.NewReader(c.plain[:5000]), iotest.ErrReader(io.ErrUnexpectedEOF)), io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: error of the source became %v", c.pack.Kind, err)
		}
		for name, call := range map[string]func(w io.Writer) error{
			"unpack": func(w io.Writer) error { return c.pack.Unpack(bytes.NewReader(c.run), w) },
			"repack": func(w io.Writer) error { return c.pack.Repack(bytes.NewReader(c.plain), w) },
		} {
			if err := call(brokenWriter{}); !errors.Is(err, errDisk) {
				t.Errorf("%v: %s: error of the writer became %v", c.pack.Kind, name, err)
			}
		}
		broken := &counter{r: bytes.NewReader(c.run), fail: 2}
		if err := c.pack.Unpack(broken, io.Discard); !errors.Is(err, errDisk) || errors.Is(err, container.ErrCorrupt) {
			t.Errorf("%v: error of the file became %v", c.pack.Kind, err)
		}
		if err := c.pack.Unpack(bytes.NewReader(c.run[:len(c.run)/2]), io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: of a file cut short: %v", c.pack.Kind, err)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errDisk }

// Repack reads what belongs to the run and leaves the rest in the reader.
func TestRepackReadsNoFurther(t *testing.T) {
	plain := weights(70000)
	run := deflated(t, plain, zlib6)
	p := container.Pack{Length: int64(len(run)), Kind: container.Deflate, Params: []byte{0, 6}, Unpacked: int64(len(plain))}
	in := bytes.NewReader(append(slices.Clone(plain), "rest"...))
	if err := p.Repack(in, io.Discard); err != nil || in.Len() != 4 {
		t.Errorf("%d bytes left, %v", in.Len(), err)
	}
}
