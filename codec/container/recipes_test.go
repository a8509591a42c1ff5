package container_test

import (
	"bytes"
	"compress/flate"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec/container"
	"github.com/dunlin-mesh/dunlin/codec/container/deflate"
)

// mixed is bytes on which no two recipes agree: repetitions near and far, for
// more than one block of the largest buffer, and some at the very end, where
// the window is full and gzip(1) does not look for matches any more.
func mixed() []byte {
	var out []byte
	for i := range 60 {
		out = append(out, weights(4000+i)...)
		for j := range 400 {
			out = append(out, "the quick brown fox"[:3+(i*j+j/7)%16]...)
		}
		out = append(out, out[len(out)*i/70:][:3000]...)
	}
	out = out[:20<<15-40]
	for i := range 30 {
		copy(out[len(out)-8*(i+1):], append([]byte("the end"), byte(i)))
	}
	return out
}

// Each recipe is told from all others, in each container.
func TestFindTellsRecipesApart(t *testing.T) {
	plain := mixed()
	streams := make(map[string]deflate.Recipe)
	for _, r := range deflate.Recipes() {
		stream := deflated(t, plain, r)
		if twin, ok := streams[string(stream)]; ok {
			t.Errorf("%v and %v agree: the sample is too easy", r, twin)
		}
		streams[string(stream)] = r
		packs := find(t, gzipped(stream))
		if len(packs) != 1 || recipe(packs[0]) != r || packs[0].Length != int64(len(stream)) || packs[0].Unpacked != int64(len(plain)) {
			t.Errorf("%v: %s", r, describe(packs))
		}
	}
}

// Each container leads to the stream.
func TestFindInContainers(t *testing.T) {
	plain := mixed()[:100000]
	stream := deflated(t, plain, deflate.Recipe{Family: deflate.ZlibMax, Level: 7})
	for name, file := range map[string][]byte{
		"gzip":                gzipped(stream),
		"zip":                 zipped(t, len(plain), stream),
		"zlib":                slices.Concat([]byte{0x78, 0x9c}, stream, make([]byte, 4)),
		"hdf5":                slices.Concat([]byte("\x89HDF\r\n\x1a\nx\x78\x9c\x78"), []byte{0x78, 0x9c}, stream, make([]byte, 4)),
		"hdf5, across pieces": slices.Concat([]byte("\x89HDF\r\n\x1a\n"), make([]byte, 1<<20-9), []byte{0x78, 0x9c}, stream),
	} {
		packs := find(t, file)
		if len(packs) != 1 || packs[0].Length != int64(len(stream)) || packs[0].Unpacked != int64(len(plain)) {
			t.Errorf("%s: %s", name, describe(packs))
		}
	}
}

// Members of several recipes, and among them one by Go's own compressor, which
// no recipe makes: it is passed over and those behind it are found.
func TestFindPassesOverTheUnknown(t *testing.T) {
	plain := mixed()[:200000]
	unknown := byGo(t, plain)
	first := deflated(t, plain, deflate.Recipe{Family: deflate.Gzip, Level: 9})
	last := deflated(t, plain, deflate.Recipe{Family: deflate.Zlib, Level: 1})
	for name, file := range map[string][]byte{
		"gzip": gzipped(first, unknown, last),
		"zip":  zipped(t, len(plain), first, unknown, last),
	} {
		packs := find(t, file)
		if len(packs) != 2 || packs[0].Length != int64(len(first)) || packs[1].Length != int64(len(last)) {
			t.Errorf("%s: %s", name, describe(packs))
		}
	}
}

// After many unknown streams only what is known already is tried: a file full
// of them must not cost a try of every recipe each.
func TestFindLearnsThatAFileIsUnknown(t *testing.T) {
	plain := mixed()[:100000]
	known := deflated(t, plain, zlib6)
	members := append([][]byte{known}, slices.Repeat([][]byte{byGo(t, plain)}, 9)...)
	members = append(members, known, deflated(t, plain, deflate.Recipe{Family: deflate.Zlib, Level: 2}))
	packs := find(t, gzipped(members...))
	if len(packs) != 2 || recipe(packs[1]) != zlib6 {
		t.Errorf("got %s", describe(packs))
	}
}

// byGo compresses with Go's own compressor, which no recipe is for.
func byGo(t *testing.T, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 6)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Whatever is deflated by a recipe, of whatever length, is found.
func TestFindProperty(t *testing.T) {
	source := mixed()
	rapid.Check(t, func(t *rapid.T) {
		var streams [][]byte
		for range rapid.IntRange(1, 3).Draw(t, "members") {
			from := rapid.IntRange(0, len(source)-1000).Draw(t, "from")
			plain := source[from:][:rapid.IntRange(512, min(70000, len(source)-from)).Draw(t, "length")]
			r := rapid.SampledFrom(deflate.Recipes()).Draw(t, "recipe")
			var out bytes.Buffer
			if _, err := deflate.NewEncoder().Encode(&out, bytes.NewReader(plain), r); err != nil {
				t.Fatal(err)
			}
			streams = append(streams, out.Bytes())
		}
		file := gzipped(streams...)
		packs, err := container.Find(t.Context(), bytes.NewReader(file), int64(len(file)))
		if err != nil || len(packs) != len(streams) {
			t.Fatalf("%d of %d, %v", len(packs), len(streams), err)
		}
		for i, p := range packs {
			if p.Length != int64(len(streams[i])) {
				t.Fatalf("%d of length %d, not %d", i, p.Length, len(streams[i]))
			}
		}
	})
}
