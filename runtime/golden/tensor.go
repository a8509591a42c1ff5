package golden

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/dunlin-mesh/dunlin/internal/onnxpb"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// MaxTensorFileBytes bounds one .pb file.
const MaxTensorFileBytes = 256 << 20

// dtypes are the element types of ONNX that tensors here can have.
func dtypes() map[onnxpb.TensorProto_DataType]modelrt.DType {
	return map[onnxpb.TensorProto_DataType]modelrt.DType{
		onnxpb.TensorProto_FLOAT: modelrt.F32, onnxpb.TensorProto_DOUBLE: modelrt.F64,
		onnxpb.TensorProto_FLOAT16: modelrt.F16, onnxpb.TensorProto_BFLOAT16: modelrt.BF16,
		onnxpb.TensorProto_INT8: modelrt.I8, onnxpb.TensorProto_UINT8: modelrt.U8,
		onnxpb.TensorProto_INT16: modelrt.I16, onnxpb.TensorProto_UINT16: modelrt.U16,
		onnxpb.TensorProto_INT32: modelrt.I32, onnxpb.TensorProto_UINT32: modelrt.U32,
		onnxpb.TensorProto_INT64: modelrt.I64, onnxpb.TensorProto_UINT64: modelrt.U64,
		onnxpb.TensorProto_BOOL: modelrt.BOOL,
	}
}

// DecodeTensor reads an encoded TensorProto: its name, which may be empty, and
// what it holds. Errors wrap ErrSet. It is strict: known element types, numbers
// in exactly one field, as many as the shape asks for, each one the type can
// hold; no external data, no segments.
func DecodeTensor(data []byte) (name string, _ modelrt.Tensor, _ error) {
	if len(data) > MaxTensorFileBytes {
		return "", modelrt.Tensor{}, fmt.Errorf("%w: tensor of %d bytes, at most %d", ErrSet, len(data), MaxTensorFileBytes)
	}
	var p onnxpb.TensorProto
	if err := proto.Unmarshal(data, &p); err != nil {
		return "", modelrt.Tensor{}, fmt.Errorf("%w: no TensorProto: %w", ErrSet, err)
	}
	t, err := tensor(&p)
	if err != nil {
		return "", modelrt.Tensor{}, fmt.Errorf("%w: tensor %q: %w", ErrSet, p.GetName(), err)
	}
	return p.GetName(), t, nil
}

func tensor(p *onnxpb.TensorProto) (modelrt.Tensor, error) {
	kind := onnxpb.TensorProto_DataType(p.GetDataType())
	dtype, ok := dtypes()[kind]
	switch {
	case len(p.ProtoReflect().GetUnknown()) > 0:
		return modelrt.Tensor{}, fmt.Errorf("unknown fields (a sequence, map or optional value, which golden sets here cannot hold?)")
	case kind == onnxpb.TensorProto_STRING || len(p.GetStringData()) > 0:
		return modelrt.Tensor{}, fmt.Errorf("it holds strings, which are not supported: use numbers or bytes (uint8)")
	case !ok:
		return modelrt.Tensor{}, fmt.Errorf("element type %s is not supported", kind)
	case len(p.GetExternalData()) > 0 || p.GetDataLocation() == onnxpb.TensorProto_EXTERNAL:
		return modelrt.Tensor{}, fmt.Errorf("its data lies in another file: store it in the tensor itself")
	case p.GetSegment() != nil:
		return modelrt.Tensor{}, fmt.Errorf("it is a segment of a tensor")
	}
	size, err := modelrt.ByteSize(dtype, p.GetDims())
	if err != nil {
		return modelrt.Tensor{}, err
	}
	t := modelrt.Tensor{DType: dtype, Shape: append([]int64{}, p.GetDims()...)}
	if t.Data, err = elements(p, dtype, size); err != nil {
		return modelrt.Tensor{}, err
	}
	return t, t.Validate()
}

// elements returns the size bytes of p, from the one field that has them.
func elements(p *onnxpb.TensorProto, dtype modelrt.DType, size int64) ([]byte, error) {
	counts := map[string]int{
		"raw_data": len(p.GetRawData()), "float_data": len(p.GetFloatData()), "int32_data": len(p.GetInt32Data()),
		"int64_data": len(p.GetInt64Data()), "double_data": len(p.GetDoubleData()), "uint64_data": len(p.GetUint64Data()),
	}
	want := fieldOf(dtype)
	if p.GetRawData() != nil {
		want = "raw_data"
	}
	for field, n := range counts {
		if n > 0 && field != want {
			return nil, fmt.Errorf("%s in the field %s", dtype, field)
		}
	}
	have := int64(counts[want])
	if want != "raw_data" {
		have *= int64(dtype.Size())
	}
	if have != size {
		return nil, fmt.Errorf("%d bytes of elements, %s%v asks for %d", have, dtype, p.GetDims(), size)
	}
	out := make([]byte, 0, size)
	switch want {
	case "raw_data": // little endian, as tensors here
		return append(out, p.GetRawData()...), nil
	case "float_data":
		for _, v := range p.GetFloatData() {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	case "double_data":
		for _, v := range p.GetDoubleData() {
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
		}
	case "int64_data":
		for _, v := range p.GetInt64Data() {
			out = binary.LittleEndian.AppendUint64(out, uint64(v))
		}
	case "uint64_data":
		for _, v := range p.GetUint64Data() {
			if dtype == modelrt.U64 {
				out = binary.LittleEndian.AppendUint64(out, v)
				continue
			}
			if v > math.MaxUint32 {
				return nil, fmt.Errorf("%d is no %s", v, dtype)
			}
			out = binary.LittleEndian.AppendUint32(out, uint32(v))
		}
	case "int32_data":
		for _, v := range p.GetInt32Data() {
			low, high := bounds(dtype)
			if int64(v) < low || int64(v) > high {
				return nil, fmt.Errorf("%d is no %s", v, dtype)
			}
			var b [4]byte
			binary.LittleEndian.PutUint32(b[:], uint32(v))
			out = append(out, b[:dtype.Size()]...)
		}
	}
	return out, nil
}

// fieldOf returns the field of TensorProto that holds elements of this type
// where raw_data does not; see the comments in onnx.proto.
func fieldOf(d modelrt.DType) string {
	switch d {
	case modelrt.F32:
		return "float_data"
	case modelrt.F64:
		return "double_data"
	case modelrt.I64:
		return "int64_data"
	case modelrt.U32, modelrt.U64:
		return "uint64_data"
	}
	return "int32_data"
}

// bounds returns what int32_data may hold for a type. 16-bit floats are stored
// as their bits.
func bounds(d modelrt.DType) (low, high int64) {
	switch d {
	case modelrt.BOOL:
		return 0, 1
	case modelrt.I8:
		return math.MinInt8, math.MaxInt8
	case modelrt.U8:
		return 0, math.MaxUint8
	case modelrt.I16:
		return math.MinInt16, math.MaxInt16
	case modelrt.U16, modelrt.F16, modelrt.BF16:
		return 0, math.MaxUint16
	}
	return math.MinInt32, math.MaxInt32
}

// EncodeTensor returns t as an encoded TensorProto of that name. Errors wrap
// modelrt.ErrTensor, or ErrSet for one that DecodeTensor would not take.
func EncodeTensor(name string, t modelrt.Tensor) ([]byte, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	for kind, dtype := range dtypes() {
		if dtype != t.DType {
			continue
		}
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(&onnxpb.TensorProto{
			Name: new(name), Dims: t.Shape, DataType: new(int32(kind)), RawData: append([]byte{}, t.Data...),
		})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSet, err)
		}
		if len(data) > MaxTensorFileBytes {
			return nil, fmt.Errorf("%w: tensor %q of %d bytes, at most %d", ErrSet, name, len(data), MaxTensorFileBytes)
		}
		return data, nil
	}
	return nil, fmt.Errorf("%w: ONNX has no element type %s", ErrSet, t.DType)
}
