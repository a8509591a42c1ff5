package synth

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// flat returns the arrays one after the other, without any header.
func flat(arrays []array) []byte {
	var out []byte
	for _, a := range arrays {
		out = append(out, a.data...)
	}
	return out
}

// safetensors returns a file of the format as its own writer makes it: arrays
// sorted by width of element and name, the header padded with spaces to 8
// (https://github.com/huggingface/safetensors#format).
func safetensors(arrays []array) []byte {
	sorted := slices.Clone(arrays)
	slices.SortStableFunc(sorted, func(a, b array) int {
		return cmp.Or(cmp.Compare(width(b.dtype), width(a.dtype)), cmp.Compare(a.name, b.name))
	})
	var header, body []byte
	header = append(header, '{')
	for i, a := range sorted {
		if i > 0 {
			header = append(header, ',')
		}
		header = append(header, jsonOf(a.name)...)
		header = fmt.Appendf(header, `:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`,
			a.dtype, jsonOf(a.shape), len(body), len(body)+len(a.data))
		body = append(body, a.data...)
	}
	header = append(header, '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header, body)
}

// jsonOf encodes a name or a shape.
func jsonOf(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("synth: " + err.Error()) // strings and ints always encode
	}
	return text
}

// width returns the bytes of an element.
func width(dtype string) int {
	switch strings.TrimLeft(dtype, "BIFU") {
	case "8":
		return 1
	case "16":
		return 2
	case "32":
		return 4
	}
	return 8
}

// GGML's names of types, and what GGUF says for a string and a uint32
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
var ggmlTypes = map[string]uint32{"F32": 0, "F16": 1, "Q8_0": 8, "I8": 24, "I16": 25, "BF16": 30}

const (
	ggufUint32    = 4
	ggufString    = 8
	ggufAlignment = 32
)

// gguf returns a GGUF file, version 3. Arrays must be of ggmlTypes and of at
// most four axes; shapes are written innermost first.
func gguf(arrays []array) []byte {
	le := binary.LittleEndian
	text := func(b []byte, s string) []byte { return append(le.AppendUint64(b, uint64(len(s))), s...) }
	pad := func(b []byte) []byte {
		for len(b)%ggufAlignment != 0 {
			b = append(b, 0)
		}
		return b
	}
	out := le.AppendUint32([]byte("GGUF"), 3)
	out = le.AppendUint64(out, uint64(len(arrays)))
	out = le.AppendUint64(out, 2) // metadata
	out = text(le.AppendUint32(text(out, "general.architecture"), ggufString), "synth")
	out = le.AppendUint32(le.AppendUint32(text(out, "general.alignment"), ggufUint32), ggufAlignment)
	var body []byte
	for _, a := range arrays {
		out = text(out, a.name)
		out = le.AppendUint32(out, uint32(len(a.shape)))
		for _, d := range slices.Backward(a.shape) {
			out = le.AppendUint64(out, uint64(d))
		}
		out = le.AppendUint64(le.AppendUint32(out, ggmlTypes[a.dtype]), uint64(len(body)))
		body = pad(append(body, a.data...))
	}
	return append(pad(out), body...)
}

// ggufArrays encodes tensors as llama.cpp does: matrices as dtype, F16 or Q8_0,
// those whose rows are no multiple of 32 as F16 in any case, vectors as F32.
func ggufArrays(tensors []tensor, dtype string) []array {
	var out []array
	for i := range tensors {
		t := tensors[i]
		rows, cols := t.rowsCols()
		switch {
		case len(t.shape) < 2:
			out = append(out, arrays([]tensor{t}, "F32")...)
		case dtype == "Q8_0" && cols%32 == 0:
			out = append(out, array{name: t.name, dtype: dtype, shape: []int{rows, cols}, data: quantizeQ8(t.data)})
		default:
			t.shape = []int{rows, cols}
			out = append(out, arrays([]tensor{t}, "F16")...)
		}
	}
	return out
}

// npz returns a zip file of arrays in NumPy's format, version 1.0, by name
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
func npz(arrays []array, method uint16) ([]byte, error) {
	var file bytes.Buffer
	archive := zip.NewWriter(&file)
	for _, a := range arrays {
		entry := slices.Concat(npyHeader(a), a.data)
		h := zip.FileHeader{Name: strings.ReplaceAll(a.name, "/", "_") + ".npy", Method: method}
		create := archive.CreateHeader
		if method == zip.Store { // sizes in the local header, as NumPy has them
			h.CRC32 = crc32.ChecksumIEEE(entry)
			h.CompressedSize64, h.UncompressedSize64 = uint64(len(entry)), uint64(len(entry))
			create = archive.CreateRaw
		}
		w, err := create(&h)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(entry); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}

// npyHeader returns what stands before an array's data.
func npyHeader(a array) []byte {
	descr := map[string]string{"F32": "<f4", "F16": "<f2", "I8": "|i1", "I16": "<i2"}[a.dtype]
	var shape strings.Builder
	for _, d := range a.shape {
		fmt.Fprintf(&shape, "%d, ", d)
	}
	dims := strings.TrimSuffix(shape.String(), " ")
	if len(a.shape) > 1 {
		dims = strings.TrimSuffix(dims, ",")
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims)
	for (10+len(text)+1)%64 != 0 {
		text += " "
	}
	text += "\n"
	return append(binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(text))), text...)
}
