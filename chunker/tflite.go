package chunker

import (
	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	tfliteFormat = "tflite"
	tfliteMagic  = "TFL3" // at byte 4
	// Bounds of tables: vectors may name one table many times, so the size of
	// the file does not bound the work.
	maxTFLiteTensors   = 1 << 17
	maxTFLiteSubgraphs = 1 << 10
	maxTFLiteShared    = 1 << 20 // bytes of names beyond the file's own size
)

// Field numbers of the schema's tables
// (https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs).
const (
	tfliteSubgraphs, tfliteBuffers                    = 2, 4
	tfliteTensors                                     = 0
	tfliteData, tfliteOffset, tfliteSize              = 0, 1, 2
	tfliteShape, tfliteType, tfliteBuffer, tfliteName = 0, 1, 2, 3
	tfliteSparsity                                    = 6
	tfliteInside                                      = 1 // offset of data that is not behind the FlatBuffer, at most
)

// tfliteTypes are enum TensorType in order; "" are types without a word in a
// layout.
var tfliteTypes = [...]manifest.DType{
	"f32", "f16", "i32", "u8", "i64", "", "bool", "i16", "c64", "i8", "f64", "c128", "u64", "", "", "u32", "u16", "i4", "bf16",
}

// decodeTFLite reads a TensorFlow Lite model: the tensors of its subgraphs that
// have a buffer with data. Tensors that share a buffer are one, the first in
// order of name.
func decodeTFLite(src *source) (*structure, error) {
	d := &tfliteDecoder{flatbuffer: flatbuffer{src.cursor(tfliteFormat, span{0, src.size})}}
	model := d.table(d.indirect(0))
	d.buffers = d.vector(model, tfliteBuffers, 4)
	subgraphs := d.vector(model, tfliteSubgraphs, 4)
	if subgraphs.count > maxTFLiteSubgraphs {
		d.fail(subgraphs.at, "%d subgraphs, at most %d", subgraphs.count, maxTFLiteSubgraphs)
	}
	left := int64(maxTFLiteTensors)
	for i := int64(0); i < subgraphs.count && d.err == nil; i++ {
		tensors := d.vector(d.element(subgraphs, i), tfliteTensors, 4)
		if left -= tensors.count; left < 0 {
			d.fail(tensors.at, "more than %d tensors", maxTFLiteTensors)
		}
		for k := int64(0); k < tensors.count && d.err == nil; k++ {
			d.tensor(d.element(tensors, k))
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	d.tensors.dropEqual()
	tensors, err := d.tensors.separate(src, tfliteFormat)
	if err != nil {
		return nil, err
	}
	return &structure{format: tfliteFormat, tensors: tensors}, nil
}

type tfliteDecoder struct {
	flatbuffer
	buffers flatVector
	tensors tensorTable
	names   int64 // bytes of names read: one string may be many tensors' name
}

// tensor adds a tensor if its buffer has data.
func (d *tfliteDecoder) tensor(t flatTable) {
	number := int64(d.scalar(t, tfliteBuffer, 4))
	if number == 0 || d.err != nil {
		return // buffer 0 is empty by definition: computed when the model runs
	}
	if number >= d.buffers.count {
		d.fail(t.at, "tensor in buffer %d of %d", number, d.buffers.count)
		return
	}
	e := entry{at: t.at}
	data := d.data(d.element(d.buffers, number))
	if data.bytes() == 0 || d.err != nil {
		return
	}
	e.Offset, e.Length = uint64(data.start), data.bytes()
	name := d.vector(t, tfliteName, 1)
	if d.names += name.count; d.names > d.src.size+maxTFLiteShared {
		d.fail(t.at, "names have more bytes than the file")
	}
	if d.err == nil {
		e.Name, d.err = d.src.text(span{name.at, name.at + name.count})
	}
	d.describe(&e, t)
	if d.err == nil {
		d.tensors.add(e)
	}
}

// data returns where a buffer's bytes lie: in the FlatBuffer, or behind it.
func (d *tfliteDecoder) data(buffer flatTable) span {
	offset, size := d.scalar(buffer, tfliteOffset, 8), d.scalar(buffer, tfliteSize, 8)
	if offset > tfliteInside && d.err == nil {
		if limit := uint64(d.src.size); offset > limit || size > limit-offset {
			d.fail(buffer.at, "buffer is bytes %d+%d of %d", offset, size, limit)
			return span{}
		}
		return span{int64(offset), int64(offset + size)}
	}
	v := d.vector(buffer, tfliteData, 1)
	return span{v.at, v.at + v.count}
}

// describe sets type and shape, and checks the length against them; sparse
// tensors and types without a word are bytes.
func (d *tfliteDecoder) describe(e *entry, t flatTable) {
	kind := d.scalar(t, tfliteType, 1)
	_, sparse := d.field(t, tfliteSparsity, 4)
	shape := d.vector(t, tfliteShape, 4)
	e.DType = manifest.Bytes
	if d.err != nil || sparse || shape.count > manifest.MaxRank || kind >= uint64(len(tfliteTypes)) || tfliteTypes[kind] == "" {
		return
	}
	dims := make([]uint64, shape.count)
	for i := range dims {
		dims[i] = d.num(shape.at+4*int64(i), 4)
	}
	dtype := tfliteTypes[kind]
	if n, ok := tensorBytes(dims, dtype); d.err == nil && (!ok || n != e.Length) {
		d.fail(e.at, "tensor %s says %d elements of %s but has %d bytes", quoted(e.Name), dims, dtype, e.Length)
	}
	e.DType, e.Shape = dtype, dims
}
