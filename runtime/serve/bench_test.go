package serve_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/onnx"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
	"github.com/dunlin-mesh/dunlin/runtime/serve"
	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

// realModel serves one corpus model without a node.
func realModel(t testing.TB, file string) (modelrt.Session, *fake) {
	t.Helper()
	engine, err := onnx.New(onnx.Config{LibraryPath: onnxtest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	session, err := engine.Load(t.Context(), corpus.File(t, file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	models := new(fake)
	models.put(served{
		Model: serve.Model{Name: "acme/real", Version: "1", Ready: true, Signature: session.Signature()},
		run: func(ctx context.Context, r serve.Request) (map[string]modelrt.Tensor, error) {
			inputs := make(map[string]modelrt.Tensor, len(r.Inputs))
			for name, in := range r.Inputs {
				inputs[name] = in.Tensor
			}
			return session.Run(ctx, inputs)
		},
	})
	return session, models
}

// zeroInputs has zeros for every input of a model, in these shapes.
func zeroInputs(t testing.TB, s modelrt.Signature, shapes map[string][]int64) map[string]modelrt.Tensor {
	t.Helper()
	out := make(map[string]modelrt.Tensor)
	for _, p := range s.Inputs {
		tensor, err := modelrt.NewTensor(p.DType, shapes[p.Name], 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if p.DType == modelrt.I64 {
			tensor.Data[0], tensor.Data[1] = 0x80, 0x3e // 16000 Hz
		}
		out[p.Name] = tensor
	}
	return out
}

// each measures do, and reports the median too: a loaded machine spoils means.
func each(b *testing.B, do func()) {
	b.Helper()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		do()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns/op")
}

// What serving costs: the same model and inputs called directly, over gRPC and
// over REST with binary tensors, one request after the other.
func BenchmarkServe(b *testing.B) {
	for _, test := range []struct {
		name, file string
		shapes     map[string][]int64
	}{
		{"silero", "silero-onnx/v6.2/silero_vad.onnx", map[string][]int64{"input": {1, 512}, "state": {2, 1, 128}, "sr": {}}},
		{"ppocr", "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx", map[string][]int64{"x": {1, 3, 48, 320}}},
	} {
		session, models := realModel(b, test.file)
		inputs := zeroInputs(b, session.Signature(), test.shapes)
		b.Run(test.name+"/direct", func(b *testing.B) {
			each(b, func() {
				if _, err := session.Run(b.Context(), inputs); err != nil {
					b.Fatal(err)
				}
			})
		})
		s := start(b, models, nil)
		b.Run(test.name+"/grpc", func(b *testing.B) {
			c := s.client(b)
			in := &pb.ModelInferRequest{ModelName: "acme/real"}
			for name, t := range inputs {
				in.Inputs = append(in.Inputs, &pb.ModelInferRequest_InferInputTensor{Name: name, Datatype: wire.Datatype(t.DType), Shape: t.Shape})
				in.RawInputContents = append(in.RawInputContents, t.Data)
			}
			each(b, func() {
				if _, err := c.ModelInfer(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run(test.name+"/rest", func(b *testing.B) {
			var binary bytes.Buffer
			header := `{"parameters":{"binary_data_output":true},"inputs":[`
			for name, t := range inputs {
				header += fmt.Sprintf(`{"name":%q,"datatype":%q,"shape":%s,"parameters":{"binary_data_size":%d}},`,
					name, wire.Datatype(t.DType), bytes.ReplaceAll([]byte(fmt.Sprint(t.Shape)), []byte(" "), []byte(",")), len(t.Data))
				binary.Write(t.Data)
			}
			header = header[:len(header)-1] + "]}"
			body := append([]byte(header), binary.Bytes()...)
			each(b, func() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.base+"/v2/models/acme/real/infer", bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set(wire.HeaderLength, strconv.Itoa(len(header)))
				r.Header.Set("Accept-Encoding", "identity")
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				text, err := io.ReadAll(response.Body)
				if err := response.Body.Close(); err != nil || response.StatusCode != 200 {
					b.Fatalf("%d %s", response.StatusCode, text)
				}
				if err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run(test.name+"/floor", func(b *testing.B) { // gRPC alone
			c := s.client(b)
			each(b, func() {
				if _, err := c.ServerLive(b.Context(), &pb.ServerLiveRequest{}); err != nil {
					b.Fatal(err)
				}
			})
		})
		s.stop()
	}
}
