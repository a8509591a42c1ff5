package serve_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"github.com/dunlin-mesh/dunlin/runtime/serve"
	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
)

func f32s(values ...float32) []byte {
	var out []byte
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

// rawRequest asks acme/echo to give two numbers back.
func rawRequest() *pb.ModelInferRequest {
	return &pb.ModelInferRequest{
		ModelName: "acme/echo", Id: "7",
		Inputs:           []*pb.ModelInferRequest_InferInputTensor{{Name: "x", Datatype: "FP32", Shape: []int64{2}}},
		RawInputContents: [][]byte{f32s(1, 2)},
	}
}

func TestServiceTells(t *testing.T) {
	models := newFake()
	s := start(t, models, nil)
	c, ctx := s.client(t), t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	live, err := c.ServerLive(ctx, &pb.ServerLiveRequest{})
	must(err)
	ready, err := c.ServerReady(ctx, &pb.ServerReadyRequest{})
	must(err)
	meta, err := c.ServerMetadata(ctx, &pb.ServerMetadataRequest{})
	must(err)
	if !live.GetLive() || !ready.GetReady() || meta.GetName() != "dunlin" || meta.GetVersion() != "9.9" || !slices.Contains(meta.GetExtensions(), "statistics") {
		t.Errorf("%v %v %v", live, ready, meta)
	}
	model, err := c.ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: "acme/echo", Version: "6.2.0"})
	must(err)
	if len(model.GetInputs()) != 14 || model.GetInputs()[13].GetDatatype() != "BYTES" || !slices.Equal(model.GetVersions(), []string{"6.2.0"}) {
		t.Errorf("%v", model)
	}
	config, err := c.ModelConfig(ctx, &pb.ModelConfigRequest{Name: "acme/echo"})
	must(err)
	if config.GetConfig().GetInput()[3].GetDataType() != pb.DataType_TYPE_BF16 {
		t.Errorf("%v", config)
	}
	for name, want := range map[string]bool{"acme/echo": true, "acme/none": false} {
		got, err := c.ModelReady(ctx, &pb.ModelReadyRequest{Name: name})
		must(err)
		if got.GetReady() != want {
			t.Errorf("%s is ready: %v", name, got.GetReady())
		}
	}
	_, err = c.ModelInfer(ctx, rawRequest())
	must(err)
	stats, err := c.ModelStatistics(ctx, &pb.ModelStatisticsRequest{Name: "acme/echo"})
	must(err)
	if m := stats.GetModelStats(); len(m) != 1 || m[0].GetInferenceStats().GetSuccess().GetCount() != 1 || m[0].GetLastInference() == 0 {
		t.Errorf("%v", stats)
	}
	models.put(served{Model: serve.Model{Name: "acme/off", Version: "3", Reason: "its golden set failed"}})
	index, err := c.RepositoryIndex(ctx, &pb.RepositoryIndexRequest{})
	must(err)
	if !slices.ContainsFunc(index.GetModels(), func(m *pb.RepositoryIndexResponse_ModelIndex) bool {
		return m.GetName() == "acme/off" && m.GetState() == "UNAVAILABLE" && m.GetReason() == "its golden set failed"
	}) {
		t.Errorf("%v", index)
	}
	if ready, err = c.ServerReady(ctx, &pb.ServerReadyRequest{}); err != nil || ready.GetReady() {
		t.Errorf("ready with a model that is not: %v", err)
	}
}

func TestServiceRefuses(t *testing.T) {
	s := start(t, newFake(), nil)
	c, ctx := s.client(t), t.Context()
	for _, test := range []struct {
		code codes.Code
		call func() error
	}{
		{codes.PermissionDenied, func() error {
			_, err := c.RepositoryModelLoad(ctx, &pb.RepositoryModelLoadRequest{ModelName: "acme/echo"})
			return err
		}},
		{codes.PermissionDenied, func() error {
			_, err := c.RepositoryModelUnload(ctx, &pb.RepositoryModelUnloadRequest{ModelName: "acme/echo"})
			return err
		}},
		{codes.Unimplemented, func() error {
			_, err := c.SystemSharedMemoryStatus(ctx, &pb.SystemSharedMemoryStatusRequest{})
			return err
		}},
		{codes.Unimplemented, func() error { _, err := c.TraceSetting(ctx, &pb.TraceSettingRequest{}); return err }},
		{codes.NotFound, func() error { _, err := c.ModelMetadata(ctx, &pb.ModelMetadataRequest{Name: "acme/none"}); return err }},
		{codes.NotFound, func() error {
			_, err := c.ModelStatistics(ctx, &pb.ModelStatisticsRequest{Name: "acme/none"})
			return err
		}},
	} {
		if err := test.call(); status.Code(err) != test.code {
			t.Errorf("%v, want %s", err, test.code)
		}
	}
}

func TestInferRawAndTyped(t *testing.T) {
	s := start(t, newFake(), nil)
	c := s.client(t)
	out, err := c.ModelInfer(t.Context(), rawRequest())
	if err != nil {
		t.Fatal(err)
	}
	if out.GetId() != "7" || out.GetModelVersion() != "6.2.0" || len(out.GetRawOutputContents()) != 1 || !slices.Equal(out.GetRawOutputContents()[0], f32s(1, 2)) {
		t.Errorf("%v", out)
	}
	typed := func(datatype string, contents *pb.InferTensorContents) *pb.ModelInferRequest {
		return &pb.ModelInferRequest{ModelName: "acme/echo", Inputs: []*pb.ModelInferRequest_InferInputTensor{
			{Name: "x", Datatype: datatype, Shape: []int64{2}, Contents: contents},
		}}
	}
	for datatype, contents := range map[string]*pb.InferTensorContents{
		"BOOL": {BoolContents: []bool{true, false}}, "FP32": {Fp32Contents: []float32{1, -2}}, "FP64": {Fp64Contents: []float64{1, -2}},
		"INT8": {IntContents: []int32{-128, 127}}, "INT16": {IntContents: []int32{-32768, 1}}, "INT32": {IntContents: []int32{math.MinInt32, 1}},
		"INT64": {Int64Contents: []int64{math.MinInt64, 1}}, "UINT8": {UintContents: []uint32{0, 255}}, "UINT16": {UintContents: []uint32{0, 65535}},
		"UINT32": {UintContents: []uint32{0, math.MaxUint32}}, "UINT64": {Uint64Contents: []uint64{0, math.MaxUint64}},
	} {
		out, err := c.ModelInfer(t.Context(), typed(datatype, contents))
		if err != nil {
			t.Errorf("%s: %v", datatype, err)
			continue
		}
		if got := out.GetOutputs()[0]; len(out.GetRawOutputContents()) != 0 || got.GetDatatype() != datatype || got.GetContents().String() != contents.String() {
			t.Errorf("%s: %v, want %v", datatype, got, contents)
		}
	}
	out, err = c.ModelInfer(t.Context(), typed("BYTES", &pb.InferTensorContents{BytesContents: [][]byte{[]byte("a"), []byte("bc")}}))
	if err != nil || string(slices.Collect(func(yield func(byte) bool) {
		for _, v := range out.GetOutputs()[0].GetContents().GetUintContents() {
			yield(byte(v))
		}
	})) != "a|bc" {
		t.Errorf("BYTES: %v %v", out, err)
	}
}

func TestInferCompressed(t *testing.T) {
	s := start(t, newFake(), nil)
	for _, name := range []string{gzip.Name, "deflate"} {
		in := rawRequest()
		in.Inputs[0].Shape, in.RawInputContents[0] = []int64{50000}, make([]byte, 200000)
		out, err := s.client(t).ModelInfer(t.Context(), in, grpc.UseCompressor(name))
		if err != nil || len(out.GetRawOutputContents()[0]) != 200000 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInferCodes(t *testing.T) {
	s := start(t, newFake(), func(c *serve.Config) { c.MaxRequestBytes = 1 << 20 })
	c := s.client(t)
	change := func(f func(*pb.ModelInferRequest)) *pb.ModelInferRequest {
		in := rawRequest()
		f(in)
		return in
	}
	model := func(name string) *pb.ModelInferRequest {
		return &pb.ModelInferRequest{ModelName: name}
	}
	param := func(v *pb.InferParameter, name string) map[string]*pb.InferParameter {
		return map[string]*pb.InferParameter{name: v}
	}
	number := &pb.InferParameter{ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: 1000}}
	negative := &pb.InferParameter{ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: -1}}
	for _, test := range []struct {
		what string
		code codes.Code
		in   *pb.ModelInferRequest
	}{
		{"no such model", codes.NotFound, model("acme/none")},
		{"no such version", codes.NotFound, change(func(in *pb.ModelInferRequest) { in.ModelVersion = "9" })},
		{"fails", codes.Internal, model("acme/broken")},
		{"busy", codes.ResourceExhausted, model("acme/busy")},
		{"picky", codes.InvalidArgument, model("acme/picky")},
		{"too large", codes.ResourceExhausted, change(func(in *pb.ModelInferRequest) { in.RawInputContents[0] = make([]byte, 2<<20) })},
		{"wrong size", codes.InvalidArgument, change(func(in *pb.ModelInferRequest) { in.RawInputContents[0] = make([]byte, 7) })},
		{"too many raw", codes.InvalidArgument, change(func(in *pb.ModelInferRequest) { in.RawInputContents = append(in.RawInputContents, nil) })},
		{"raw and typed", codes.InvalidArgument, change(func(in *pb.ModelInferRequest) { in.Inputs[0].Contents = &pb.InferTensorContents{} })},
		{"half typed", codes.InvalidArgument, change(func(in *pb.ModelInferRequest) { in.Inputs[0].Datatype, in.RawInputContents = "FP16", nil })},
		{"datatype", codes.InvalidArgument, change(func(in *pb.ModelInferRequest) { in.Inputs[0].Datatype = "FP8" })},
		{"out of range", codes.InvalidArgument, change(func(in *pb.ModelInferRequest) {
			in.Inputs[0].Datatype, in.RawInputContents = "INT8", nil
			in.Inputs[0].Contents = &pb.InferTensorContents{IntContents: []int32{1, 128}}
		})},
		{"unknown output", codes.InvalidArgument, change(func(in *pb.ModelInferRequest) {
			in.Outputs = []*pb.ModelInferRequest_InferRequestedOutputTensor{{Name: "y"}}
		})},
		{"classification", codes.Unimplemented, change(func(in *pb.ModelInferRequest) {
			in.Outputs = []*pb.ModelInferRequest_InferRequestedOutputTensor{{Name: "x", Parameters: param(number, "classification")}}
		})},
		{"shared memory", codes.Unimplemented, change(func(in *pb.ModelInferRequest) { in.Inputs[0].Parameters = param(number, "shared_memory_region") })},
		{"sequence", codes.Unimplemented, change(func(in *pb.ModelInferRequest) { in.Parameters = param(number, "sequence_id") })},
		{"timeout passes", codes.DeadlineExceeded, &pb.ModelInferRequest{ModelName: "acme/slow", Parameters: param(number, "timeout")}},
		{"bad timeout", codes.InvalidArgument, change(func(in *pb.ModelInferRequest) { in.Parameters = param(negative, "timeout") })},
	} {
		t.Run(test.what, func(t *testing.T) {
			if _, err := c.ModelInfer(t.Context(), test.in); status.Code(err) != test.code {
				t.Errorf("%v, want %s", err, test.code)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.ModelInfer(ctx, model("acme/slow")); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v, want the client's deadline", err)
	}
}

func TestStream(t *testing.T) {
	s := start(t, newFake(), nil)
	stream, err := s.client(t).ModelStreamInfer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bad := rawRequest()
	bad.ModelName = "acme/none"
	for _, in := range []*pb.ModelInferRequest{rawRequest(), bad, rawRequest()} {
		if err := stream.Send(in); err != nil {
			t.Fatal(err)
		}
		out, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case in == bad && (!strings.Contains(out.GetErrorMessage(), "acme/none") || out.GetInferResponse().GetId() != "7"):
			t.Errorf("%v", out)
		case in != bad && (out.GetErrorMessage() != "" || !slices.Equal(out.GetInferResponse().GetRawOutputContents()[0], f32s(1, 2))):
			t.Errorf("%v", out)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
}
