package chunker_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// layout lays out data and fails the test on an error.
func layout(tb testing.TB, data []byte, name string) *manifest.Layout {
	tb.Helper()
	l, err := chunker.Layout(tb.Context(), bytes.NewReader(data), int64(len(data)), name, chunker.Options{})
	if err != nil {
		tb.Fatalf("Layout: %v", err)
	}
	return l
}

// lines writes tensors one a line: name, dtype, shape, offset+length.
func lines(l *manifest.Layout) string {
	var b strings.Builder
	for _, t := range l.Tensors {
		fmt.Fprintf(&b, "%s %s %d %d+%d\n", t.Name, t.DType, t.Shape, t.Offset, t.Length)
	}
	return b.String()
}

// checkTensors compares a layout's tensors, offsets aside, with names, types,
// shapes and the bytes that lie there.
func checkTensors(t *testing.T, data []byte, l *manifest.Layout, want ...string) {
	t.Helper()
	var got []string
	for _, x := range l.Tensors {
		run := data[x.Offset : x.Offset+x.Length]
		if len(run) > 12 {
			run = run[:12]
		}
		got = append(got, fmt.Sprintf("%s %s %d %d:%x", x.Name, x.DType, x.Shape, x.Length, run))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
}

// The layouts of one small file of each format, for ever: a change here is a
// change of every CID, and has to be a new schema.
func TestLayoutsAreStable(t *testing.T) {
	golden := map[string]string{
		"onnx":        "bafyreifbzxdd5lydmpyyvdspzt5ifj3wq6e6bfjo7dcaea7n6xz7dv3scq",
		"safetensors": "bafyreierzsrfqffxpkwo4cluwcg7ykawuhelltxralrsxy5nac5n7776xi",
		"gguf":        "bafyreifnqmofbeszoixjcwoviygl5jihw32rk2nxewupidzjqxcuusfumi",
		"tflite":      "bafyreiaiyyj5h2uw7v4fwgdqaedcpm4mubv6o4zgspxqzfzve2pxy5dglu",
		"npy":         "bafyreihxxmit63kdzk72gdcqesutamzxkhfxxktjv5jkzpe6ofiia7pcxy",
		"npz":         "bafyreigbqhj3hn2scm3v2x4jur6ddix2ar44rv2leginyuf3sfn53qm4du",
		"zip":         "bafyreieqzwkfhpmv4bedbwvqjabopwlccgjvfp52ymj46bjk7vigec7s3u",
		"bytes":       "bafyreicfvmk7rzradduxovfsme4eqnsn4ev7774oqpnj4skmlt3uvxq5dm",
	}
	for _, s := range samples(t) {
		switch s.format { // without deflate, whose output is the library's affair
		case "npz":
			s.data = zipFile(t, zipEntry{"a.npy", zip.Store, samples(t)[4].data})
		case "zip":
			s.data = zipFile(t, zipEntry{"archive/data/0", zip.Store, floats(8)})
		}
		t.Run(s.format, func(t *testing.T) {
			l := layout(t, s.data, s.name)
			if l.Format != s.format {
				t.Errorf("format %q, want %q", l.Format, s.format)
			}
			block, err := manifest.Encode(l)
			if err != nil {
				t.Fatal(err)
			}
			if got := block.CID.String(); got != golden[s.format] {
				t.Errorf("layout is %q, was %q:\n%s", got, golden[s.format], lines(l))
			}
		})
	}
}

// What a format is does not hang on the name, where bytes tell.
func TestFormatsAreToldByTheirBytes(t *testing.T) {
	for _, s := range samples(t) {
		if l := layout(t, s.data, "weights"); l.Format != s.format {
			t.Errorf("%s under another name: format %q, want %q", s.name, l.Format, s.format)
		}
	}
}

func TestUnknownFilesAreCutByContent(t *testing.T) {
	const mib = 1 << 20
	random := make([]byte, 4*mib)
	noise(random)
	before := layout(t, random, "net.nn")
	if before.Format != "bytes" || len(before.Tensors) != 0 || len(before.Cuts) == 0 {
		t.Fatalf("format %q, %d tensors, %d cuts", before.Format, len(before.Tensors), len(before.Cuts))
	}
	for i, n := range before.Cuts[:len(before.Cuts)-1] {
		if n < before.Chunk || n > 4*before.Chunk {
			t.Errorf("cut %d has %d bytes, want %d to %d", i, n, before.Chunk, 4*before.Chunk)
		}
	}
	// The cuts themselves are part of the format, as the library makes them.
	want := []uint32{
		168889, 167047, 208764, 211347, 145061, 176689, 245687, 136766, 137072,
		149834, 142026, 161004, 143797, 132683, 173125, 150543, 180512, 133141,
		150137, 161820, 94672, 135120, 182149, 177055, 262144, 67220,
	}
	if diff := cmp.Diff(want, before.Cuts); diff != "" {
		t.Errorf("cuts moved (-want +got):\n%s", diff)
	}
	// An insertion moves the cuts near it, no others.
	edited := slices.Concat(random[:mib], []byte("inserted"), random[mib:])
	after := layout(t, edited, "net.nn")
	shared := sharedBytes(t, random, before, edited, after)
	if share := float64(shared) / float64(len(edited)); share < 0.85 {
		t.Errorf("after an insertion %.2f of the bytes are in chunks held before, want 0.85", share)
	}
}

// noise fills p with the same random bytes each time.
func noise(p []byte) {
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p) // never fails
}

// sharedBytes counts the bytes of b's chunks that a has too.
func sharedBytes(t *testing.T, a []byte, la *manifest.Layout, b []byte, lb *manifest.Layout) (shared int) {
	t.Helper()
	sums := make([]chunker.Sum, 2)
	for i, f := range []struct {
		data []byte
		l    *manifest.Layout
	}{{a, la}, {b, lb}} {
		var err error
		if sums[i], err = chunker.Hash(t.Context(), bytes.NewReader(f.data), f.l, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i, d := range sums[1].Digests {
		if slices.Contains(sums[0].Digests, d) {
			_, n := lb.Chunks().At(i)
			shared += n
		}
	}
	return shared
}

func TestSmallUnknownFilesHaveNoCuts(t *testing.T) {
	for _, size := range []int{0, 1, manifest.MinChunkBytes} {
		if l := layout(t, make([]byte, size), "a"); len(l.Cuts) != 0 || l.Size != uint64(size) {
			t.Errorf("%d bytes: %d cuts, size %d", size, len(l.Cuts), l.Size)
		}
	}
}

func TestHintMakesAnArray(t *testing.T) {
	data := make([]byte, 1001)
	l, err := chunker.Layout(t.Context(), bytes.NewReader(data), 1001, "net.nnue", chunker.Options{DType: "i16"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.Format+" "+lines(l), "array array i16 [500] 0+1000\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := chunker.Layout(t.Context(), bytes.NewReader(data), 1001, "a", chunker.Options{DType: "int16"}); err == nil {
		t.Error("an unknown dtype was taken")
	}
	s := samples(t)[0]
	known, err := chunker.Layout(t.Context(), bytes.NewReader(s.data), int64(len(s.data)), s.name, chunker.Options{DType: "i16"})
	if err != nil || known.Format != s.format {
		t.Errorf("the hint overruled a known format: %v, %v", known, err)
	}
}

// A chunk's least size follows from the file's; sparse files of these sizes
// are cheap to lay out by a hint, which reads nothing but their beginning.
func TestChunkGrowsWithTheFile(t *testing.T) {
	for _, c := range []struct {
		size int64
		want uint32
	}{
		{1, 64 << 10},
		{256 << 20, 64 << 10},
		{256<<20 + 1, 128 << 10},
		{1 << 30, 128 << 10},
		{1<<30 + 1, 256 << 10},
		{1 << 44, 256 << 10},
	} {
		l, err := chunker.Layout(t.Context(), zeros{}, c.size, "net", chunker.Options{DType: "i8"})
		if err != nil || l.Chunk != c.want {
			t.Errorf("%d bytes: chunk %v, %v, want %d", c.size, l, err, c.want)
		}
	}
	if _, err := chunker.Layout(t.Context(), zeros{}, 1<<44+1, "net", chunker.Options{}); err == nil {
		t.Error("a file larger than a manifest may name was laid out")
	}
}

// A file of no known format that is too large for a list of cuts is cut on a
// grid, without reading it all.
func TestHugeUnknownFilesAreCutOnAGrid(t *testing.T) {
	l, err := chunker.Layout(t.Context(), zeros{}, 1<<40, "net", chunker.Options{})
	if err != nil || l.Format != "bytes" || len(l.Cuts) != 0 {
		t.Errorf("got %v, %v", l, err)
	}
}

// zeros is an endless file.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// broken fails at some byte.
type broken struct{ at int64 }

var errDisk = errors.New("disk on fire")

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.at {
		return 0, errDisk
	}
	clear(p)
	return len(p), nil
}

func TestReadErrorsAreNotTheFilesFault(t *testing.T) {
	for _, at := range []int64{0, 1 << 20} {
		_, err := chunker.Layout(t.Context(), broken{at}, 2<<20, "net", chunker.Options{})
		if !errors.Is(err, errDisk) || errors.Is(err, chunker.ErrMalformed) || !strings.HasPrefix(err.Error(), "net: ") {
			t.Errorf("failing at byte %d: %v", at, err)
		}
	}
	short := bytes.NewReader(make([]byte, 1<<20))
	if _, err := chunker.Layout(t.Context(), short, 2<<20, "net", chunker.Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file shorter than said: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := chunker.Layout(ctx, zeros{}, 1<<20, "net", chunker.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Names from outside are text of bounded length, whatever stands in the file.
func TestNamesAreBoundedText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 600),
			rapid.Map(rapid.StringN(0, 400, 2000), func(s string) []byte { return []byte(s) }),
		).Draw(t, "name")
		m := message{}.varint(1, 2).varint(2, 1).bytes(8, raw).bytes(9, floats(2))
		data := onnxModel(message{}.bytes(5, m))
		l, err := chunker.Layout(context.Background(), bytes.NewReader(data), int64(len(data)), "m.onnx", chunker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		block, err := manifest.Encode(l)
		if err != nil {
			t.Fatal(err)
		}
		if err := manifest.Decode(block.Data, &manifest.Layout{}); err != nil {
			t.Fatalf("name %q cannot be read back: %v", l.Tensors[0].Name, err)
		}
	})
	long := strings.Repeat("é", 400)
	a := layout(t, onnxModel(message{}.bytes(5, onnxTensor(long+"a", 1, 2).bytes(9, floats(2)))), "a.onnx")
	b := layout(t, onnxModel(message{}.bytes(5, onnxTensor(long+"b", 1, 2).bytes(9, floats(2)))), "a.onnx")
	if a.Tensors[0].Name == b.Tensors[0].Name {
		t.Error("two long names became one")
	}
}

// More tensors than a layout may have: the largest stay, and the rest of the
// file is still covered.
func TestLargestTensorsStay(t *testing.T) {
	graph := message{}
	const count = manifest.MaxTensors + 5000
	for i := range count {
		graph = graph.bytes(5, onnxTensor(fmt.Sprintf("layer.%d.weight", i), 1, uint64(i%100+1)).bytes(9, floats(i%100+1)))
	}
	l := layout(t, onnxModel(graph), "m.onnx")
	block, err := manifest.Encode(l)
	if err != nil {
		t.Fatalf("%d tensors do not fit a block: %v", len(l.Tensors), err)
	}
	smallest, kept := uint64(1<<60), make(map[uint64]int)
	for _, x := range l.Tensors {
		smallest = min(smallest, x.Length)
		kept[x.Length]++
	}
	if len(l.Tensors) < 10_000 || smallest < 4 {
		t.Errorf("%d tensors kept, smallest %d bytes", len(l.Tensors), smallest)
	}
	for n := smallest + 4; n <= 400; n += 4 {
		if want := (count-int(n)/4)/100 + 1; kept[n] != want {
			t.Errorf("%d tensors of %d bytes kept, want all %d: the smallest kept has %d", kept[n], n, want, smallest)
		}
	}
	t.Logf("%d of %d tensors kept in a block of %d bytes", len(l.Tensors), count, len(block.Data))
}

func TestLayoutOfAnOpenFile(t *testing.T) {
	s := samples(t)[0]
	path := filepath.Join(t.TempDir(), s.name)
	if err := os.WriteFile(path, s.data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := chunker.Layout(t.Context(), f, int64(len(s.data)), path, chunker.Options{})
	if diff := cmp.Diff(layout(t, s.data, s.name), l); diff != "" || err != nil {
		t.Errorf("a file gives another layout than its bytes: %v\n%s", err, diff)
	}
}

// BenchmarkCutByContent cuts noise, the format that has to be read.
func BenchmarkCutByContent(b *testing.B) {
	data := make([]byte, 256<<20)
	noise(data)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		layout(b, data, "net")
	}
}
