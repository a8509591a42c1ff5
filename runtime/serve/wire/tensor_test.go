package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

func TestDatatypes(t *testing.T) {
	for _, name := range []string{"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "BF16", "FP32", "FP64", "BYTES"} {
		d, err := wire.ParseDatatype(name)
		if err != nil || wire.Datatype(d) != name {
			t.Errorf("%s: %q, %v", name, d, err)
		}
	}
	for _, name := range []string{"", "fp32", "FP8", "STRING"} {
		if _, err := wire.ParseDatatype(name); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if wire.Datatype("f8") != "" {
		t.Error("a type that does not exist has a name")
	}
}

func TestBytesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		elements := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 20)).Draw(t, "elements")
		data, err := wire.EncodeBytes(elements)
		if err != nil {
			t.Fatal(err)
		}
		back, err := wire.DecodeBytes(data, int64(len(elements)))
		if err != nil || !slices.EqualFunc(back, elements, bytes.Equal) {
			t.Fatalf("%v, %v", back, err)
		}
	})
}

func TestBytesMalformed(t *testing.T) {
	for name, test := range map[string]struct {
		data  string
		count int64
	}{
		"negative": {"", -1}, "many": {"", wire.MaxElements + 1}, "none there": {"", 1}, "length cut": {"\x00\x00\x00\x00\x01\x00", 2},
		"element cut": {"\x02\x00\x00\x00a", 1}, "huge": {"\xff\xff\xff\xffa", 1}, "more": {"\x01\x00\x00\x00ab", 1},
	} {
		if _, err := wire.DecodeBytes([]byte(test.data), test.count); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Typed contents mean what raw contents mean.
func TestContents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.SampledFrom([]modelrt.DType{
			modelrt.F32, modelrt.F64, modelrt.I8, modelrt.U8, modelrt.I16, modelrt.U16, modelrt.I32, modelrt.U32, modelrt.I64, modelrt.U64, modelrt.BOOL,
		}).Draw(t, "type")
		data := rapid.SliceOfN(rapid.Byte(), 24, 24).Draw(t, "data")
		if d == modelrt.BOOL {
			for i := range data {
				data[i] &= 1
			}
		}
		in := modelrt.Tensor{DType: d, Shape: []int64{int64(24 / d.Size())}, Data: data}
		c, ok := wire.NewContents(in)
		if !ok {
			t.Fatalf("%s has no typed contents", d)
		}
		out, _, err := wire.ParseContents(d, in.Shape, c)
		same := d == modelrt.F32 || d == modelrt.F64 || bytes.Equal(out.Data, data) // a NaN may become another
		if err != nil || !same || len(out.Data) != 24 {
			t.Fatalf("%s: %v, %v, want %v", d, out, err, data)
		}
	})
	for _, d := range []modelrt.DType{modelrt.F16, modelrt.BF16} {
		if _, ok := wire.NewContents(modelrt.Tensor{DType: d, Data: []byte{0, 0}}); ok {
			t.Errorf("%s has typed contents", d)
		}
		if _, _, err := wire.ParseContents(d, []int64{0}, nil); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", d, err)
		}
	}
	if _, _, err := wire.ParseContents(modelrt.U8, []int64{1}, &pb.InferTensorContents{UintContents: []uint32{256}}); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("256 is a uint8: %v", err)
	}
}

func TestBinaryUsesEverything(t *testing.T) {
	sized := func(n string) wire.Tensor {
		return wire.Tensor{Parameters: wire.Parameters{wire.BinaryDataSize: []byte(n)}}
	}
	parts, err := wire.Binary([]wire.Tensor{sized("2"), {Data: []byte("[1]")}, sized("0"), sized("3")}, []byte("abcde"))
	if err != nil || string(parts[0]) != "ab" || parts[1] != nil || string(parts[3]) != "cde" {
		t.Errorf("%q, %v", parts, err)
	}
	for _, tensors := range [][]wire.Tensor{
		{sized("2")},
		{sized("6")},
		{sized("-1")},
		{sized(`"5"`)},
		{sized("18446744073709551616")},
		{{}},
		{{Data: []byte("[1]"), Parameters: wire.Parameters{wire.BinaryDataSize: []byte("5")}}},
	} {
		if _, err := wire.Binary(tensors, []byte("abcde")); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%v: %v", tensors, err)
		}
	}
}

// Whatever is accepted as elements of BYTES is written back byte for byte.
func FuzzBytes(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00a\x00\x00\x00\x00"), int64(2))
	f.Add([]byte("\xff\xff\xff\xff"), int64(1))
	f.Fuzz(func(t *testing.T, data []byte, count int64) {
		elements, err := wire.DecodeBytes(data, count)
		if err != nil {
			return
		}
		back, err := wire.EncodeBytes(elements)
		if err != nil || !bytes.Equal(back, data) || int64(len(elements)) != count {
			t.Errorf("%v, %v, read from %v", back, err, data)
		}
	})
}

// Whatever a REST request is, reading it ends, and what is accepted has the
// types, shapes and sizes that it says.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1","inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1.5]}],"outputs":[{"name":"y","parameters":{"binary_data":true}}]}`,
		`{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"parameters":{"binary_data_size":8}}]}` + "12345678",
		`{"inputs":[{"name":"x","datatype":"BYTES","shape":[1,2],"data":[["a","b"]]}],"parameters":{"timeout":5}}`,
		`{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}]}` + "\x01\x00\x00\x00a",
		`{"inputs":null,"parameters":null,"outputs":null}`,
		strings.Repeat("[", 100),
	} {
		f.Add([]byte(seed), strings.LastIndexByte(seed, '}')+1)
	}
	f.Fuzz(func(t *testing.T, body []byte, at int) {
		if at < 0 || at > len(body) {
			return
		}
		var in wire.InferRequest
		if err := wire.Decode(body[:at], &in); err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%v", err)
			}
			return
		}
		parts, err := wire.Binary(in.Inputs, body[at:])
		if err != nil {
			return
		}
		for i, input := range in.Inputs {
			tensor, elements, err := input.Parse(parts[i])
			if err != nil {
				continue
			}
			if n, err := wire.Elements(tensor.Shape); err != nil || tensor.DType == modelrt.STRING && n != int64(len(elements)) {
				t.Errorf("%v: %d elements: %v", tensor.Shape, len(elements), err)
			}
			if size, err := modelrt.ByteSize(tensor.DType, tensor.Shape); tensor.DType != modelrt.STRING && (err != nil || size != int64(len(tensor.Data))) {
				t.Errorf("%s%v has %d bytes: %v", tensor.DType, tensor.Shape, len(tensor.Data), err)
			}
		}
	})
}

func TestAppendElement(t *testing.T) {
	got := wire.AppendElement([]byte{9}, []byte("ab"))
	if !bytes.Equal(got, append(binary.LittleEndian.AppendUint32([]byte{9}, 2), "ab"...)) {
		t.Errorf("%v", got)
	}
}
