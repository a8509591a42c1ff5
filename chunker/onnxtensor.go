package chunker

import (
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Fields of TensorProto.
const (
	tensorDims, tensorType, tensorSegment                            = 1, 2, 3
	tensorFloat, tensorInt32, tensorInt64, tensorName                = 4, 5, 7, 8
	tensorRaw, tensorDouble, tensorUint64                            = 9, 10, 11
	tensorExternal, tensorLocation, locationExternal                 = 13, 14, 1
	maxVarintBytes                                                   = 10
	int4Bits                                                         = 4
	noDType                                           manifest.DType = ""
)

// onnxTypes are TensorProto.DataType's values in order. Types that the layout
// has no word for (strings, f4, e8m0 scales and what may come) are bytes.
var onnxTypes = [...]manifest.DType{
	noDType, "f32", "u8", "i8", "u16", "i16", "i32", "i64", noDType, "bool", "f16", "f64", "u32", "u64",
	"c64", "c128", "bf16", "f8e4m3", "f8e4m3", "f8e5m2", "f8e5m2", "u4", "i4",
}

// onnxTensor is a TensorProto, its data unread.
type onnxTensor struct {
	at       int64
	name     string
	shape    []uint64 // nil where the rank is over manifest.MaxRank
	rank     int
	elements uint64
	kind     uint64
	segment  bool // a part of a tensor
	outside  bool // data_location is EXTERNAL
	external externalData

	data    protowire.Number // the field that has the data
	pieces  int              // that many of it, not empty
	span    span             // the last of them
	bytes   uint64           // of all of them
	singles uint64           // elements that have a field each
}

// tensor reads a TensorProto; base, unless empty, is used for its name.
func (d *onnxDecoder) tensor(m span, base string) error {
	t := onnxTensor{at: m.start, name: nameOf(base), elements: 1}
	for f, err := range d.src.fields(onnxFormat, m) {
		if err == nil {
			err = d.tensorField(&t, &f, base == "")
		}
		if err != nil {
			return err
		}
	}
	if t.outside {
		return d.outside(&t)
	}
	return d.place(&t)
}

func (d *onnxDecoder) tensorField(t *onnxTensor, f *field, named bool) (err error) {
	isBytes := f.kind == protowire.BytesType
	switch f.number {
	case tensorDims:
		return d.dims(t, f)
	case tensorType:
		t.kind = f.value
	case tensorSegment:
		t.segment = true
	case tensorLocation:
		t.outside = f.value == locationExternal
	case tensorName:
		if named && isBytes {
			t.name, err = d.src.text(f.span)
		}
	case tensorExternal:
		if isBytes {
			err = d.externalEntry(&t.external, f.span)
		}
	case tensorFloat, tensorInt32, tensorInt64, tensorRaw, tensorDouble, tensorUint64:
		if isBytes && f.span.bytes() == 0 {
			return nil
		}
		if t.data != 0 && t.data != f.number {
			return d.malformed(f.at, "tensor %s has data in fields %d and %d", quoted(t.name), t.data, f.number)
		}
		t.data = f.number
		switch {
		case !isBytes:
			t.singles++
		case f.number == tensorRaw: // not repeated: the last one counts
			t.pieces, t.span, t.bytes = 1, f.span, f.span.bytes()
		default:
			t.pieces, t.span, t.bytes = t.pieces+1, f.span, t.bytes+f.span.bytes()
		}
	}
	return err
}

// dims takes one dimension, or several that are packed.
func (d *onnxDecoder) dims(t *onnxTensor, f *field) error {
	if f.kind == protowire.VarintType {
		return d.dim(t, f.value, f.at)
	}
	for at := f.span.start; at < f.span.end; {
		v, next, err := d.src.uvarint(onnxFormat, span{at, f.span.end})
		if err == nil {
			err = d.dim(t, v, at)
		}
		if err != nil {
			return err
		}
		at = next
	}
	return nil
}

func (d *onnxDecoder) dim(t *onnxTensor, dim uint64, at int64) error {
	if int64(dim) < 0 {
		return d.malformed(at, "tensor %s has dimension %d", quoted(t.name), int64(dim))
	}
	hi, lo := bits.Mul64(t.elements, dim)
	if hi != 0 {
		return d.malformed(at, "tensor %s has more elements than fit 64 bits", quoted(t.name))
	}
	t.elements = lo
	t.rank++
	if t.rank <= manifest.MaxRank {
		t.shape = append(t.shape, dim)
	}
	return nil
}

// dtype returns the element type, "" if the layout has no word for it.
func (t *onnxTensor) dtype() manifest.DType {
	if t.kind < uint64(len(onnxTypes)) {
		return onnxTypes[t.kind]
	}
	return noDType
}

// expected returns how many bytes the elements take; !ok if that does not
// follow from type and shape.
func (t *onnxTensor) expected() (n uint64, ok bool) {
	width := t.dtype().Bits()
	if width == 0 || t.segment {
		return 0, false
	}
	hi, lo := bits.Mul64(t.elements, width)
	if hi != 0 || lo > 8*manifest.MaxFileBytes {
		return 8 * manifest.MaxFileBytes, true // more than any file has
	}
	return (lo + 7) / 8, true
}

// describe makes the layout's tensor for length bytes at offset, which are
// elements as they are in memory.
func (t *onnxTensor) describe(offset, length uint64) manifest.Tensor {
	out := manifest.Tensor{Name: t.name, DType: t.dtype(), Shape: t.shape, Offset: offset, Length: length}
	if _, known := t.expected(); !known || t.rank > manifest.MaxRank {
		out.DType, out.Shape = manifest.Bytes, nil
	}
	return out
}

// place checks that the data is as long as type and shape say, and adds it.
func (d *onnxDecoder) place(t *onnxTensor) error {
	want, known := t.expected()
	switch t.data {
	case 0:
		if known && want > 0 {
			return d.lies(t)
		}
	case tensorRaw, tensorFloat, tensorDouble:
		if have := t.bytes + t.singles*singleBytes(t.data); known && have != want {
			return d.lies(t)
		}
		if t.pieces == 1 && t.singles == 0 {
			d.inside.add(entry{Tensor: t.describe(uint64(t.span.start), t.bytes), at: t.at})
		}
	default: // varints: one for each element, or for two of 4 bits
		count := t.elements
		if t.dtype().Bits() == int4Bits {
			count = count/2 + count%2
		}
		if have := t.bytes + t.singles; known && (have < count || (t.bytes+maxVarintBytes-1)/maxVarintBytes+t.singles > count) {
			return d.lies(t)
		}
		if t.pieces == 1 && t.singles == 0 {
			d.inside.add(entry{at: t.at, Tensor: manifest.Tensor{
				Name: t.name, DType: manifest.Bytes, Offset: uint64(t.span.start), Length: t.bytes,
			}})
		}
	}
	return nil
}

// singleBytes returns the length of an element that has a field of its own.
func singleBytes(data protowire.Number) uint64 {
	switch data {
	case tensorFloat:
		return 4
	case tensorDouble:
		return 8
	}
	return 0
}

func (d *onnxDecoder) lies(t *onnxTensor) error {
	if t.singles > 0 {
		return d.malformed(t.at, "tensor %s says %d elements of %s but has %d, and %d bytes", quoted(t.name), t.elements, t.dtype(), t.singles, t.bytes)
	}
	return d.malformed(t.at, "tensor %s says %d elements of %s but has %d bytes", quoted(t.name), t.elements, t.dtype(), t.bytes)
}
