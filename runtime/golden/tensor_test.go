package golden

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/dunlin-mesh/dunlin/internal/onnxpb"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

func kind(k onnxpb.TensorProto_DataType) *int32 { return new(int32(k)) }

func encode(t testing.TB, p *onnxpb.TensorProto) []byte {
	t.Helper()
	data, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Every element type can be in raw_data, or in the field that onnx.proto gives
// it.
func TestDecodeTensor(t *testing.T) {
	two := []int64{2}
	for name, c := range map[string]struct {
		p    *onnxpb.TensorProto
		want modelrt.Tensor
	}{
		"float raw": {
			&onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_FLOAT), Dims: two, RawData: []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0}},
			modelrt.Tensor{DType: modelrt.F32, Shape: two, Data: []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0}},
		},
		"float":    {&onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_FLOAT), Dims: two, FloatData: []float32{1, -2}}, modelrt.Tensor{DType: modelrt.F32, Shape: two, Data: []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0}}},
		"float16":  {&onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_FLOAT16), Dims: two, Int32Data: []int32{0x3c00, 0xc000}}, modelrt.Tensor{DType: modelrt.F16, Shape: two, Data: []byte{0, 0x3c, 0, 0xc0}}},
		"bfloat16": {&onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_BFLOAT16), Dims: two, Int32Data: []int32{0x3f80, 0xc000}}, modelrt.Tensor{DType: modelrt.BF16, Shape: two, Data: []byte{0x80, 0x3f, 0, 0xc0}}},
		"int8":     {&onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_INT8), Dims: two, Int32Data: []int32{-1, 127}}, modelrt.Tensor{DType: modelrt.I8, Shape: two, Data: []byte{255, 127}}},
		"uint32":   {&onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_UINT32), Dims: []int64{1}, Uint64Data: []uint64{1<<32 - 1}}, modelrt.Tensor{DType: modelrt.U32, Shape: []int64{1}, Data: []byte{255, 255, 255, 255}}},
		"int64":    {&onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_INT64), Int64Data: []int64{-2}}, modelrt.Tensor{DType: modelrt.I64, Shape: []int64{}, Data: []byte{254, 255, 255, 255, 255, 255, 255, 255}}},
		"bool":     {&onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_BOOL), Dims: two, Int32Data: []int32{1, 0}}, modelrt.Tensor{DType: modelrt.BOOL, Shape: two, Data: []byte{1, 0}}},
		"empty":    {&onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_FLOAT), Dims: []int64{0, 3}}, modelrt.Tensor{DType: modelrt.F32, Shape: []int64{0, 3}, Data: []byte{}}},
	} {
		c.p.Name = new("x")
		label, got, err := DecodeTensor(encode(t, c.p))
		if err != nil || label != "x" || got.DType != c.want.DType || !slices.Equal(got.Shape, c.want.Shape) || !bytes.Equal(got.Data, c.want.Data) {
			t.Errorf("%s: got %q %v, %v; want %v", name, label, got, err, c.want)
		}
	}
}

func TestDecodeTensorRefuses(t *testing.T) {
	one := []int64{1}
	f32 := kind(onnxpb.TensorProto_FLOAT)
	for name, c := range map[string]struct {
		data []byte
		text string
	}{
		"no message":    {[]byte{0xff, 0xff}, "no TensorProto"},
		"no type":       {nil, "UNDEFINED"},
		"strings":       {encode(t, &onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_STRING), Dims: one, StringData: [][]byte{{1}}}), "use numbers or bytes"},
		"complex":       {encode(t, &onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_COMPLEX64), Dims: one}), "COMPLEX64"},
		"int4":          {encode(t, &onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_INT4), Dims: one}), "INT4"},
		"external":      {encode(t, &onnxpb.TensorProto{DataType: f32, Dims: one, DataLocation: onnxpb.TensorProto_EXTERNAL.Enum()}), "another file"},
		"segment":       {encode(t, &onnxpb.TensorProto{DataType: f32, Dims: one, Segment: &onnxpb.TensorProto_Segment{}}), "segment"},
		"too few":       {encode(t, &onnxpb.TensorProto{DataType: f32, Dims: []int64{2}, FloatData: []float32{1}}), "asks for 8"},
		"huge":          {encode(t, &onnxpb.TensorProto{DataType: f32, Dims: []int64{1 << 40, 1 << 40}}), "overflows"},
		"negative":      {encode(t, &onnxpb.TensorProto{DataType: f32, Dims: []int64{-1}}), "negative"},
		"two fields":    {encode(t, &onnxpb.TensorProto{DataType: f32, Dims: one, FloatData: []float32{1}, RawData: make([]byte, 4)}), "field float_data"},
		"wrong field":   {encode(t, &onnxpb.TensorProto{DataType: f32, Dims: one, DoubleData: []float64{1}}), "field double_data"},
		"int8 too big":  {encode(t, &onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_INT8), Dims: one, Int32Data: []int32{128}}), "128 is no i8"},
		"bool of two":   {encode(t, &onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_BOOL), Dims: one, RawData: []byte{2}}), "must be 0 or 1"},
		"unknown field": {append(encode(t, &onnxpb.TensorProto{DataType: f32, Dims: one, FloatData: []float32{1}}), 0xfa, 0x7f, 0), "unknown fields"},
	} {
		if _, _, err := DecodeTensor(c.data); !errors.Is(err, ErrSet) || !errors.Is(err, modelrt.ErrGolden) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v, want ErrSet that says %q", name, err, c.text)
		}
	}
}

// What is accepted is a valid tensor that comes back from its own encoding.
func FuzzDecodeTensor(f *testing.F) {
	f.Add([]byte{})
	f.Add(encode(f, &onnxpb.TensorProto{Name: new("x"), DataType: kind(onnxpb.TensorProto_FLOAT), Dims: []int64{2}, FloatData: []float32{1, 2}}))
	f.Add(encode(f, &onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_BFLOAT16), Dims: []int64{1}, Int32Data: []int32{7}}))
	f.Add(encode(f, &onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_UINT64), Uint64Data: []uint64{1 << 63}}))
	f.Add(encode(f, &onnxpb.TensorProto{DataType: kind(onnxpb.TensorProto_BOOL), Dims: []int64{0, 1 << 50}, RawData: []byte{}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		name, tensor, err := DecodeTensor(data)
		if err != nil {
			if !errors.Is(err, ErrSet) {
				t.Errorf("unexpected kind of error: %v", err)
			}
			return
		}
		if err := tensor.Validate(); err != nil {
			t.Fatal(err)
		}
		again, err := EncodeTensor(name, tensor)
		if err != nil {
			t.Fatal(err)
		}
		name2, tensor2, err := DecodeTensor(again)
		if err != nil || name2 != name || tensor2.DType != tensor.DType || !slices.Equal(tensor2.Shape, tensor.Shape) || !bytes.Equal(tensor2.Data, tensor.Data) {
			t.Errorf("%q %v came back as %q %v, %v", name, tensor, name2, tensor2, err)
		}
	})
}
