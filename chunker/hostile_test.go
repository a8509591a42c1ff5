package chunker_test

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// checkMalformed checks that err is a FormatError that names file, format and
// a place in the file, and gives the reason.
func checkMalformed(t *testing.T, err error, name, format string, size int64, reason string) {
	t.Helper()
	e, ok := errors.AsType[*chunker.FormatError](err)
	switch {
	case !ok || !errors.Is(err, chunker.ErrMalformed):
		t.Errorf("error is %v, want a FormatError: %s", err, reason)
	case e.File != name || e.Format != format || e.Offset < 0 || e.Offset > size:
		t.Errorf("error names %s, %s, byte %d of %d, want %s, %s", e.File, e.Format, e.Offset, size, name, format)
	case !strings.Contains(e.Reason, reason) || !strings.HasPrefix(err.Error(), name+": malformed "+format+" at byte "):
		t.Errorf("error is %q, want %q", err, reason)
	}
}

// malformed checks that data is refused, in little memory.
func malformed(t *testing.T, data []byte, name, format, reason string) {
	t.Helper()
	err := tryLayout(t, data, name)
	checkMalformed(t, err, name, format, int64(len(data)), reason)
}

// tryLayout lays out data within 2 MiB of allocations.
func tryLayout(t *testing.T, data []byte, name string) error {
	t.Helper()
	return bounded(t, 2<<20, data, name)
}

// bounded lays out data and fails the test if that allocates more than limit
// bytes in all, or if what comes out is neither a good layout nor a
// FormatError.
func bounded(t *testing.T, limit uint64, data []byte, name string) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l, err := chunker.Layout(t.Context(), bytes.NewReader(data), int64(len(data)), name, chunker.Options{})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > limit {
		t.Errorf("%s: %d bytes allocated for a file of %d, at most %d", name, n, len(data), limit)
	}
	checkResult(t, data, name, l, err)
	return err
}

// checkResult checks what must hold of whatever Layout returns.
func checkResult(t *testing.T, data []byte, name string, l *manifest.Layout, err error) {
	t.Helper()
	if err != nil {
		e, ok := errors.AsType[*chunker.FormatError](err)
		if !ok || e.File != name || e.Offset < 0 || e.Offset > int64(len(data)) || e.Reason == "" {
			t.Fatalf("%s: error is no FormatError that names file and offset: %v", name, err)
		}
		return
	}
	if err := l.Validate(); err != nil {
		t.Fatalf("%s: invalid layout: %v", name, err)
	}
	if l.Size != uint64(len(data)) {
		t.Fatalf("%s: layout of %d bytes for %d", name, l.Size, len(data))
	}
	var covered uint64
	chunks := l.Chunks()
	for i := range chunks.Len() {
		offset, n := chunks.At(i)
		if offset != covered || n <= 0 || n > manifest.MaxChunkBytes {
			t.Fatalf("%s: chunk %d is bytes %d+%d, after %d", name, i, offset, n, covered)
		}
		covered += uint64(n)
	}
	if covered != l.Size {
		t.Fatalf("%s: chunks cover %d bytes of %d", name, covered, l.Size)
	}
	block, err := manifest.Encode(l)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := manifest.Decode(block.Data, &manifest.Layout{}); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// A file cut short anywhere is an error or has no known format; in no case
// does it pass for the whole.
func TestCutShort(t *testing.T) {
	for _, s := range samples(t) {
		for n := range s.data {
			err := tryLayout(t, s.data[:n], s.name)
			recognised := n >= 8 && s.format != "bytes"
			if err == nil && recognised {
				l := layout(t, s.data[:n], s.name)
				if l.Format == s.format && s.format != "tflite" {
					t.Errorf("%s cut to %d of %d bytes still is %s", s.name, n, len(s.data), s.format)
				}
			}
		}
	}
}

// Any single flipped bit gives an error or a good layout.
func TestFlippedBits(t *testing.T) {
	for _, s := range samples(t) {
		for bit := range 8 * len(s.data) {
			data := bytes.Clone(s.data)
			data[bit/8] ^= 1 << (bit % 8)
			l, err := chunker.Layout(t.Context(), bytes.NewReader(data), int64(len(data)), s.name, chunker.Options{})
			checkResult(t, data, s.name, l, err)
		}
	}
}

// Graphs in graphs in graphs, as deep as the file allows.
func TestONNXDeepNesting(t *testing.T) {
	const depth = 1000
	graph := message{}
	for range depth {
		graph = message{}.bytes(1, onnxNode("If", "y", message{}.str(1, "then_branch").bytes(6, graph)))
	}
	malformed(t, onnxModel(graph), "m.onnx", "onnx", "subgraphs nest more than 32 deep")
}

// One long name on a node of many tensors: read once, not once for each.
func TestONNXLongNames(t *testing.T) {
	long := strings.Repeat("n", 1<<20)
	node := message{}.str(2, long)
	value := message{}.str(1, "value").bytes(5, onnxTensor("", 1, 1).bytes(9, floats(1)))
	for range 2000 {
		node = node.bytes(5, value)
	}
	data := onnxModel(message{}.bytes(1, node))
	if err := bounded(t, 6<<20, data, "m.onnx"); err != nil {
		t.Error(err)
	}
}

// A count of tensors that no layout holds does not pile up in memory. What is
// allocated in all is small for each; what is held at once is the table.
func TestManyTinyTensorsAreHeldWithinBounds(t *testing.T) {
	tensor := message{}.bytes(5, onnxTensor("w", 1, 1).bytes(9, floats(1)))
	data := onnxModel(bytes.Repeat(tensor, 150_000))
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak := uint64(0)
	watch := watching{bytes.NewReader(data), func() {
		runtime.ReadMemStats(&during)
		peak = max(peak, during.HeapAlloc)
	}, 0}
	l, err := chunker.Layout(t.Context(), &watch, int64(len(data)), "m.onnx", chunker.Options{})
	checkResult(t, data, "m.onnx", l, err)
	if held := peak - before.HeapAlloc; peak > before.HeapAlloc && held > 64<<20 {
		t.Errorf("%d bytes in use while reading %d tensors", held, 150_000)
	}
	if l != nil && len(l.Tensors) != manifest.MaxTensors {
		t.Errorf("%d tensors kept, want %d", len(l.Tensors), manifest.MaxTensors)
	}
}

// watching calls look every hundred reads.
type watching struct {
	r     *bytes.Reader
	look  func()
	reads int
}

func (w *watching) ReadAt(p []byte, off int64) (int, error) {
	if w.reads++; w.reads%100 == 0 {
		w.look()
	}
	return w.r.ReadAt(p, off)
}
