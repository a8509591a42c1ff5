package chunker

import (
	"math/bits"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	ggufFormat = "gguf"
	ggufMagic  = "GGUF"
	// Alignment of tensors unless the file gives one under this key.
	ggufAlignment    = 32
	ggufAlignmentKey = "general.alignment"
	// Bounds of the format's own reader (GGML_MAX_DIMS), and of arrays in
	// arrays, which no writer makes.
	maxGGUFDims  = 4
	maxGGUFDepth = 4
)

// Types of metadata values, and the bytes that scalars take.
const (
	ggufUint32 = 4
	ggufString = 8
	ggufArray  = 9
)

var ggufScalars = map[uint32]uint64{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

// decodeGGUF reads a GGUF file, version 2 or 3
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Other versions,
// big-endian files among them, which look like version 3·2^24, are of no known
// format: nil.
func decodeGGUF(src *source) (*structure, error) {
	d := &ggufDecoder{cursor: src.cursor(ggufFormat, span{int64(len(ggufMagic)), src.size}), alignment: ggufAlignment}
	version := d.u32()
	if d.err == nil && version != 2 && version != 3 {
		return nil, nil
	}
	tensors, pairs := d.u64(), d.u64()
	d.metadata(pairs)
	d.infos(tensors)
	if d.err != nil {
		return nil, d.err
	}
	return d.place()
}

type ggufDecoder struct {
	*cursor
	alignment uint64
	table     tensorTable // offsets from the start of the data
	unsized   bool        // some tensors are of types of unknown length
}

// metadata goes past the key-value pairs, but for the alignment.
func (d *ggufDecoder) metadata(pairs uint64) {
	const smallest = 8 + 4 + 1 // key's length, type, a byte of value
	if pairs > d.left()/smallest {
		d.fail(d.at, "%d metadata pairs in %d bytes", pairs, d.left())
	}
	for i := uint64(0); i < pairs && d.err == nil; i++ {
		key := d.text(d.u64(), "metadata key")
		at, kind := d.at, d.u32()
		if key != ggufAlignmentKey {
			d.value(kind, 0)
			continue
		}
		if d.alignment = uint64(d.u32()); kind != ggufUint32 || bits.OnesCount64(d.alignment) != 1 {
			d.fail(at, "alignment %d of type %d is no power of two", d.alignment, kind)
		}
	}
}

// value goes past a value.
func (d *ggufDecoder) value(kind uint32, depth int) {
	if n, scalar := ggufScalars[kind]; scalar {
		d.run(n, "metadata value")
		return
	}
	switch kind {
	case ggufString:
		d.run(d.u64(), "metadata string")
	case ggufArray:
		d.array(depth + 1)
	default:
		d.fail(d.at, "metadata value of unknown type %d", kind)
	}
}

func (d *ggufDecoder) array(depth int) {
	at, kind, count := d.at, d.u32(), d.u64()
	if depth > maxGGUFDepth {
		d.fail(at, "arrays nest more than %d deep", maxGGUFDepth)
	}
	each, scalar := ggufScalars[kind]
	if !scalar {
		each = 8 // a string's or an array's least
	}
	if count > d.left()/each {
		d.fail(at, "array of %d values of type %d in %d bytes", count, kind, d.left())
		return
	}
	if scalar {
		d.run(count*each, "metadata array")
		return
	}
	for i := uint64(0); i < count && d.err == nil; i++ {
		d.value(kind, depth)
	}
}

// infos reads the table of tensors.
func (d *ggufDecoder) infos(count uint64) {
	const smallest = 8 + 4 + 4 + 8 // name's length, dimensions, type, offset
	if count > d.left()/smallest {
		d.fail(d.at, "%d tensors in %d bytes", count, d.left())
	}
	for i := uint64(0); i < count && d.err == nil; i++ {
		d.info()
	}
}

func (d *ggufDecoder) info() {
	e := entry{at: d.at}
	e.Name = d.text(d.u64(), "tensor name")
	rank := d.u32()
	if rank > maxGGUFDims {
		d.fail(e.at, "tensor %s has %d dimensions, at most %d", quoted(e.Name), rank, maxGGUFDims)
		return
	}
	elements, row := uint64(1), uint64(1)
	for i := range rank { // fastest first
		dim := d.u64()
		hi, lo := bits.Mul64(elements, dim)
		if hi != 0 {
			d.fail(e.at, "tensor %s has more elements than fit 64 bits", quoted(e.Name))
		}
		elements = lo
		if i == 0 {
			row = dim
		}
		e.Shape = append(e.Shape, dim)
	}
	slices.Reverse(e.Shape)
	number := d.u32()
	e.Offset = d.u64()
	if d.err != nil {
		return
	}
	kind, known := ggmlTypes[number]
	switch {
	case e.Offset%d.alignment != 0:
		d.fail(e.at, "tensor %s at offset %d, which is no multiple of %d", quoted(e.Name), e.Offset, d.alignment)
	case known:
		var ok bool
		if e.Length, ok = kind.length(elements, row); !ok {
			d.fail(e.at, "tensor %s: %d elements are no whole blocks of %s, or too many", quoted(e.Name), e.Shape, kind.dtype)
		}
		e.DType = kind.dtype
	case elements > 0: // a length that will be cut to what there is
		e.DType, e.Length, d.unsized = unknownGGML(number), manifest.MaxFileBytes, true
	}
	if d.err == nil {
		d.table.add(e)
	}
}

// place checks the tensors against the data that follows the table.
func (d *ggufDecoder) place() (*structure, error) {
	start := (uint64(d.at) + d.alignment - 1) &^ (d.alignment - 1)
	size := uint64(d.src.size)
	entries := d.table.sorted()
	for i := range entries {
		e := &entries[i]
		if start > size || e.Offset > size-start {
			return nil, d.src.malformed(ggufFormat, e.at, "tensor %s begins at byte %d of the data, behind its end", quoted(e.Name), e.Offset)
		}
		e.Offset += start
	}
	if d.unsized {
		cutUnsized(entries, size)
	}
	for i := range entries {
		e := &entries[i]
		if e.Length == 0 {
			return nil, d.src.malformed(ggufFormat, e.at, "tensor %s of %s has no bytes", quoted(e.Name), e.DType)
		}
		if e.Length > size-e.Offset {
			return nil, d.src.malformed(ggufFormat, e.at, "tensor %s says %d elements of %s, %d bytes, but has %d", quoted(e.Name), e.Shape, e.DType, e.Length, size-e.Offset)
		}
	}
	tensors, err := d.table.separate(d.src, ggufFormat)
	if err != nil {
		return nil, err
	}
	return &structure{format: ggufFormat, tensors: tensors}, nil
}

// cutUnsized ends each tensor of unknown length where the next one begins, or
// the file ends.
func cutUnsized(entries []entry, size uint64) {
	for i := range entries {
		e := &entries[i]
		if e.Length != manifest.MaxFileBytes {
			continue
		}
		end := size
		if i+1 < len(entries) {
			end = entries[i+1].Offset
		}
		e.Length = end - e.Offset
	}
}
