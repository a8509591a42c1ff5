package chunker

import (
	"encoding/binary"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	safetensorsFormat = "safetensors"
	// maxSafetensorsHeader is the format's own limit on its header.
	maxSafetensorsHeader = 100_000_000
	safetensorsMetadata  = "__metadata__"
)

// safetensorsTypes are the format's element types that a layout has a word
// for; others are bytes.
var safetensorsTypes = map[string]manifest.DType{
	"BOOL": "bool", "U8": "u8", "I8": "i8", "F8_E5M2": "f8e5m2", "F8_E4M3": "f8e4m3",
	"I16": "i16", "U16": "u16", "F16": "f16", "BF16": "bf16", "I32": "i32", "U32": "u32",
	"F32": "f32", "F64": "f64", "I64": "i64", "U64": "u64", "C64": "c64",
}

// decodeSafetensors reads a safetensors file
// (https://github.com/huggingface/safetensors#format): the length of a JSON
// header, the header, and tensors that fill the rest without holes.
func decodeSafetensors(src *source) (*structure, error) {
	head, err := src.peek(0, 9)
	if err != nil {
		return nil, err
	}
	if len(head) < 9 || head[8] != '{' {
		return nil, src.malformed(safetensorsFormat, 0, "no header")
	}
	length := binary.LittleEndian.Uint64(head)
	if left := uint64(src.size - 8); length > min(left, maxSafetensorsHeader) {
		return nil, src.malformed(safetensorsFormat, 0, "header of %d bytes, %d left, at most %d", length, left, maxSafetensorsHeader)
	}
	d := &safetensorsDecoder{
		json: jsonReader{src.cursor(safetensorsFormat, span{8, 8 + int64(length)})},
		data: 8 + length,
	}
	d.left = uint64(src.size) - d.data
	d.json.object(d.tensor)
	if d.json.peek(); d.json.err == nil && d.json.at < d.json.end {
		d.json.fail(d.json.at, "bytes after the header's end")
	}
	if d.json.err != nil {
		return nil, d.json.err
	}
	tensors, err := d.table.separate(src, safetensorsFormat)
	if err != nil {
		return nil, err
	}
	if d.left > 0 {
		return nil, src.malformed(safetensorsFormat, src.size, "%d bytes belong to no tensor", d.left)
	}
	return &structure{format: safetensorsFormat, tensors: tensors}, d.unique(src)
}

type safetensorsDecoder struct {
	json  jsonReader
	data  uint64 // where tensors begin
	left  uint64 // bytes that belong to no tensor so far
	table tensorTable
}

// tensor reads the header's entry for one tensor.
func (d *safetensorsDecoder) tensor(name string) {
	if name == safetensorsMetadata {
		d.json.skip(0)
		return
	}
	e := entry{Tensor: manifest.Tensor{Name: name}, at: d.json.at}
	var dtype string
	var begin, end uint64
	var seen, rank int
	d.json.object(func(key string) {
		switch key {
		case "dtype":
			dtype = d.json.str()
		case "shape":
			d.json.array(func() {
				if dim := d.json.number(); rank < manifest.MaxRank {
					e.Shape = append(e.Shape, dim)
				}
				rank++
			})
		case "data_offsets":
			d.json.expect('[')
			begin = d.json.number()
			d.json.expect(',')
			end = d.json.number()
			d.json.expect(']')
		default:
			d.json.fail(d.json.at, "tensor %s has an unknown key %s", quoted(name), quoted(key))
		}
		seen++
	})
	if d.json.err == nil && seen != 3 {
		d.json.fail(e.at, "tensor %s has %d keys, want dtype, shape and data_offsets", quoted(name), seen)
	}
	if d.json.err == nil {
		d.place(&e, dtype, rank, begin, end)
	}
}

// place checks a tensor's place and length and adds it.
func (d *safetensorsDecoder) place(e *entry, dtype string, rank int, begin, end uint64) {
	size := uint64(d.json.src.size) - d.data
	if begin > end || end > size {
		d.json.fail(e.at, "tensor %s is bytes %d to %d of %d", quoted(e.Name), begin, end, size)
		return
	}
	e.Offset, e.Length = d.data+begin, end-begin
	e.DType = safetensorsTypes[dtype]
	if e.DType == "" || rank > manifest.MaxRank {
		e.DType, e.Shape = manifest.Bytes, nil
	} else if n, ok := tensorBytes(e.Shape, e.DType); !ok || n != e.Length {
		d.json.fail(e.at, "tensor %s says %d elements of %s but has %d bytes", quoted(e.Name), e.Shape, e.DType, e.Length)
		return
	}
	if e.Length > d.left {
		d.json.fail(e.at, "tensors have more bytes than the file: %s overlaps others", quoted(e.Name))
		return
	}
	d.left -= e.Length
	d.table.add(*e)
}

// unique refuses two tensors of one name, among those that the layout keeps.
func (d *safetensorsDecoder) unique(src *source) error {
	at := make(map[string]int64, len(d.table.entries))
	for i := range d.table.entries {
		e := &d.table.entries[i]
		if _, twice := at[e.Name]; twice {
			return src.malformed(safetensorsFormat, e.at, "two tensors are named %s", quoted(e.Name))
		}
		at[e.Name] = e.at
	}
	return nil
}

// tensorBytes returns the length of an array of a plain type, !ok if it does
// not fit any file.
func tensorBytes(shape []uint64, dtype manifest.DType) (n uint64, ok bool) {
	elements, ok := manifest.Elements(shape)
	hi, lo := bits.Mul64(elements, dtype.Bits())
	if !ok || hi != 0 || lo > 8*manifest.MaxFileBytes {
		return 0, false
	}
	return (lo + 7) / 8, true
}
