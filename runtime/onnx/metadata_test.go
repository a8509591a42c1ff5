//go:build cgo && (linux || darwin)

package onnx

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
)

// withMetadata returns the path of a copy of a corpus model with metadata
// properties added. A protobuf message goes on with what is appended to it:
// field 14 of ModelProto is metadata_props, of entries with key 1 and value 2.
func withMetadata(t *testing.T, name string, props map[string]string) string {
	t.Helper()
	model, err := os.ReadFile(corpus.File(t, name))
	if err != nil {
		t.Fatal(err)
	}
	field := func(tag byte, value []byte) []byte {
		n := len(value)
		return append([]byte{tag, byte(n&0x7f | 0x80), byte(n >> 7 & 0x7f)}, value...)
	}
	for key, value := range props {
		entry := append(field(1<<3|2, []byte(key)), field(2<<3|2, []byte(value))...)
		model = append(model, field(14<<3|2, entry)...)
	}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, model, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMetadataOfOurKeys(t *testing.T) {
	want := map[string]string{"Image.BitmapPixelFormat": "Rgb8", "dunlin.image.mean": "0.5"}
	props := maps.Clone(want)
	props["author"] = "somebody"
	props["dunlin.long"] = strings.Repeat("x", maxMetadataValueBytes+1)
	s, err := newEngine(t).Load(t.Context(), withMetadata(t, silero62, props))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if got := s.Signature().Metadata; !maps.Equal(got, want) {
		t.Errorf("metadata is %v, want %v", got, want)
	}
}

func TestNoMetadataIsNil(t *testing.T) {
	s := load(t, silero62)
	if got := s.Signature().Metadata; got != nil {
		t.Errorf("metadata is %v, want none", got)
	}
}
