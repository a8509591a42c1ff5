package wire_test

import (
	"bytes"
	"errors"
	"testing"
	"unsafe"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

// pieces cuts data into buffers, as a connection brings them.
func pieces(data []byte, size int) mem.BufferSlice {
	var out mem.BufferSlice
	for len(data) > 0 {
		n := min(size, len(data))
		out = append(out, mem.SliceBuffer(data[:n]))
		data = data[n:]
	}
	return out
}

// Whatever is in a message, the codec writes what protobuf reads and reads what
// protobuf writes.
func TestCodecIsProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blob := rapid.SliceOfN(rapid.Byte(), 0, 300)
		m := &pb.ModelInferRequest{
			ModelName: rapid.StringMatching(`[a-z/]{0,8}`).Draw(t, "name"), Id: rapid.StringMatching(`[0-9]{0,4}`).Draw(t, "id"),
			Parameters:       map[string]*pb.InferParameter{"timeout": {ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: rapid.Int64().Draw(t, "timeout")}}},
			RawInputContents: rapid.SliceOfN(blob, 0, 5).Draw(t, "raw"),
			Inputs:           []*pb.ModelInferRequest_InferInputTensor{{Name: "x", Shape: rapid.SliceOf(rapid.Int64()).Draw(t, "shape")}},
		}
		data, err := wire.Codec{}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var plain pb.ModelInferRequest
		if err := proto.Unmarshal(data.Materialize(), &plain); err != nil || //nolint:misspell // gRPC's own name
			!proto.Equal(&plain, m) {
			t.Fatalf("protobuf reads %v (%v), written was %v", &plain, err, m)
		}
		theirs, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var ours pb.ModelInferRequest
		if err := (wire.Codec{}).Unmarshal(pieces(theirs, rapid.IntRange(1, 64).Draw(t, "piece")), &ours); err != nil || !proto.Equal(&ours, m) {
			t.Fatalf("read %v (%v), written was %v", &ours, err, m)
		}
		out := &pb.ModelInferResponse{ModelName: m.ModelName, RawOutputContents: m.RawInputContents}
		if data, err = (wire.Codec{}).Marshal(out); err != nil {
			t.Fatal(err)
		}
		var back pb.ModelInferResponse
		if err := (wire.Codec{}).Unmarshal(data, &back); err != nil || !proto.Equal(&back, out) {
			t.Fatalf("read %v (%v), written was %v", &back, err, out)
		}
	})
}

// What is written shares the tensors' memory; what is read is aligned for every
// type, wherever it lay in the message.
func TestCodecDoesNotCopy(t *testing.T) {
	raw := make([]byte, 1<<20)
	data, err := wire.Codec{}.Marshal(&pb.ModelInferResponse{ModelName: "acme/vad", RawOutputContents: [][]byte{raw}})
	if err != nil {
		t.Fatal(err)
	}
	shared := false
	for _, b := range data {
		shared = shared || b.Len() == len(raw) && &b.ReadOnlyData()[0] == &raw[0]
	}
	if !shared {
		t.Error("raw contents were copied")
	}
	for shift := range 8 {
		m := &pb.ModelInferRequest{ModelName: string(make([]byte, shift)), RawInputContents: [][]byte{make([]byte, 40), make([]byte, 24)}}
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back pb.ModelInferRequest
		if err := (wire.Codec{}).Unmarshal(pieces(data, 1000), &back); err != nil {
			t.Fatal(err)
		}
		for _, content := range back.GetRawInputContents() {
			if uintptr(unsafe.Pointer(&content[0]))%8 != 0 {
				t.Error("raw contents are not aligned")
			}
		}
	}
}

func TestCodecIsBounded(t *testing.T) {
	many := func(field protowire.Number, n int) []byte {
		var out []byte
		for range n {
			out = protowire.AppendBytes(protowire.AppendTag(out, field, protowire.BytesType), nil)
		}
		return out
	}
	for name, data := range map[string][]byte{
		"many inputs":       many(5, 10_000),
		"many raw contents": many(7, 2_000),
		"no end":            {0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f},
		"long tag":          bytes.Repeat([]byte{0xff}, 20),
		"field 0":           {0x02, 0x00},
		"group":             {0x0b},
		"cut":               {0x3a},
		"large header":      protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), make([]byte, wire.MaxHeaderBytes+1)),
	} {
		if err := (wire.Codec{}).Unmarshal(pieces(data, 1<<14), new(pb.ModelInferRequest)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (wire.Codec{}).Unmarshal(nil, 7); err == nil {
		t.Error("a number is a message")
	}
	if _, err := (wire.Codec{}).Marshal(7); err == nil {
		t.Error("a number is a message")
	}
}

// Whatever the codec accepts, protobuf accepts, and it means the same.
func FuzzCodec(f *testing.F) {
	seed, err := proto.Marshal(&pb.ModelInferRequest{
		ModelName: "acme/vad", RawInputContents: [][]byte{{1, 2, 3, 4}},
		Inputs: []*pb.ModelInferRequest_InferInputTensor{{Name: "x", Datatype: "FP32", Shape: []int64{1}}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{0x3a, 0x01})
	f.Add([]byte("\x88\x30\xe5\x00")) // an unknown field, its number not in the shortest form
	f.Fuzz(func(t *testing.T, data []byte) {
		var ours, theirs pb.ModelInferRequest
		if err := (wire.Codec{}).Unmarshal(pieces(data, 7), &ours); err != nil {
			return
		}
		err := proto.Unmarshal(data, &theirs)
		// The codec writes numbers in their shortest form into what nobody knows.
		ours.ProtoReflect().SetUnknown(nil)
		theirs.ProtoReflect().SetUnknown(nil)
		if err != nil || !proto.Equal(&ours, &theirs) {
			t.Errorf("protobuf reads %v (%v), the codec %v", &theirs, err, &ours)
		}
	})
}
