package chunker

import (
	"errors"
	"path"
	"strings"
)

// recognise tells the format by magic number or structure and decodes it; nil
// if the file is of none. Formats with a magic number are strict. ONNX and
// safetensors have none: they are strict where the extension says so, and
// otherwise a file that does not hold up is simply of no known format.
func recognise(src *source) (*structure, error) {
	head, err := src.peek(0, 8)
	if err != nil {
		return nil, err
	}
	extension := strings.ToLower(path.Ext(src.name))
	magic := string(head)
	switch {
	case strings.HasPrefix(magic, ggufMagic):
		return decodeGGUF(src)
	case strings.HasPrefix(magic, zipLocalMagic), strings.HasPrefix(magic, zipEndMagic):
		return decodeZip(src)
	case strings.HasPrefix(magic, npyMagic):
		return decodeNPY(src)
	case len(magic) == 8 && magic[4:] == tfliteMagic:
		return decodeTFLite(src)
	case extension == ".onnx":
		return decodeONNX(src)
	case extension == ".safetensors":
		return decodeSafetensors(src)
	}
	for _, decode := range []func(*source) (*structure, error){decodeSafetensors, decodeONNX} {
		found, err := decode(src)
		if err == nil || !errors.Is(err, ErrMalformed) {
			return found, err
		}
	}
	return nil, nil
}
