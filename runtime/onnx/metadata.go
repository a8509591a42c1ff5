//go:build cgo && (linux || darwin)

package onnx

import (
	"errors"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
)

// Bounds of what is kept of a model's metadata properties.
const (
	maxMetadata           = 64
	maxMetadataValueBytes = 4 << 10
)

// metadataPrefixes begin, in lower case, the keys that are kept: the image
// category of ONNX's MetadataProps.md, and our own.
func metadataPrefixes() [2]string { return [...]string{"image.", "dunlin."} }

// readMetadata returns the metadata properties of a loaded model that say how
// its tensors are meant, nil if there are none. Values over the bound, and
// what is over the number, are left out.
func readMetadata(s *ort.DynamicAdvancedSession) (_ map[string]string, err error) {
	m, err := s.GetModelMetadata()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Destroy()) }()
	keys, err := m.GetCustomMetadataMapKeys()
	if err != nil {
		return nil, err
	}
	var kept map[string]string
	for _, key := range keys {
		if !keepsMetadata(key) || len(kept) >= maxMetadata {
			continue
		}
		value, ok, err := m.LookupCustomMetadataMap(key)
		if err != nil {
			return nil, err
		}
		if !ok || len(value) > maxMetadataValueBytes {
			continue
		}
		if kept == nil {
			kept = make(map[string]string)
		}
		kept[key] = value
	}
	return kept, nil
}

func keepsMetadata(key string) bool {
	lower := strings.ToLower(key)
	for _, prefix := range metadataPrefixes() {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return false
}
