package chunker_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dunlin-mesh/dunlin/chunker"
)

// eager is a ReaderAt of another temper than bytes.Reader: it reports the
// file's end along with the last bytes, as the contract allows.
type eager struct{ data []byte }

func (e eager) ReadAt(p []byte, off int64) (int, error) {
	if off > int64(len(e.data)) {
		return 0, io.EOF
	}
	n := copy(p, e.data[off:])
	if off+int64(n) == int64(len(e.data)) {
		return n, io.EOF
	}
	return n, nil
}

// fuzz feeds files to Layout under a name. Whatever they are, the result is a
// FormatError about the file, or a valid layout that covers it, fits a block,
// and comes out the same when read another way.
func fuzz(f *testing.F, name string, formats ...string) {
	for _, s := range samples(f) {
		for _, format := range formats {
			if s.format == format {
				f.Add(s.data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := chunker.Layout(t.Context(), bytes.NewReader(data), int64(len(data)), name, chunker.Options{})
		checkResult(t, data, name, l, err)
		again, errAgain := chunker.Layout(t.Context(), eager{data}, int64(len(data)), name, chunker.Options{})
		if diff := cmp.Diff(l, again); diff != "" || (err == nil) != (errAgain == nil) {
			t.Fatalf("read another way: %v, then %v\n%s", err, errAgain, diff)
		}
	})
}

func FuzzONNX(f *testing.F) {
	f.Add(onnxWith(onnxOutside("w", "m.data", 0, 8, 2)))
	f.Add(onnxWith(onnxTensor("w", 22, 3).bytes(5, []byte{1, 2})))
	fuzz(f, "m.onnx", "onnx")
}

func FuzzSafetensors(f *testing.F) { fuzz(f, "m.safetensors", "safetensors") }

func FuzzGGUF(f *testing.F) { fuzz(f, "m.gguf", "gguf") }

func FuzzTFLite(f *testing.F) {
	f.Add(outside(160, 2))
	fuzz(f, "m.tflite", "tflite")
}

func FuzzNumPy(f *testing.F) { fuzz(f, "m.npy", "npy") }

func FuzzZip(f *testing.F) { fuzz(f, "m.zip", "zip", "npz") }

// FuzzAny has no name to go by.
func FuzzAny(f *testing.F) {
	fuzz(f, "m", "onnx", "safetensors", "gguf", "tflite", "npy", "npz", "zip", "bytes")
}
