package serve_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/runtime/serve"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

func TestEndpoints(t *testing.T) {
	models := newFake()
	s := start(t, models, nil)
	const port = `{"name":"in-f32","datatype":"FP32","shape":[-1,2]}`
	for _, test := range []struct {
		method, path, body string
		status             int
		has                string // part of the answer
	}{
		{"GET", "/v2", "", 200, `"extensions":["binary_tensor_data","model_configuration","model_repository","parameters","statistics"]`},
		{"GET", "/v2/", "", 200, `"version":"9.9"`},
		{"HEAD", "/v2", "", 200, ""},
		{"GET", "/v2/health/live", "", 200, `{"live":true}`},
		{"GET", "/v2/health/ready", "", 200, `{"ready":true}`},
		{"GET", "/v2/models", "", 200, `"acme/echo"`},
		{"GET", "/v2/models/acme/echo", "", 200, port},
		{"GET", "/v2/models/acme%2Fecho", "", 200, port},
		{"GET", "/v2/models/acme%2fecho/versions/6.2.0", "", 200, `"versions":["6.2.0"]`},
		{"GET", "/v2/models/acme/echo/versions/6.2.0/ready", "", 200, `"ready":true`},
		{"GET", "/v2/models/acme/echo/ready", "", 200, `"ready":true`},
		{"GET", "/v2/models/acme/echo/config", "", 200, `{"data_type":"TYPE_FP32","dims":[-1,2],"name":"in-f32"}`},
		{"GET", "/v2/models/acme/echo/stats", "", 200, `"version":"6.2.0"`},
		{"GET", "/v2/models/stats", "", 200, `"model_stats":[`},
		{"POST", "/v2/repository/index", "", 200, `{"name":"acme/echo","version":"6.2.0","state":"READY"}`},
		{"POST", "/v2/repository/index", `{"ready":true}`, 200, `"acme/echo"`},
		{"POST", "/v2/repository/index", `{"ready":7}`, 400, `"error":`},
		{"POST", "/v2/repository/models/acme/echo/load", "{}", 403, `dunlin follow`},
		{"POST", "/v2/repository/models/acme/echo/unload", "{}", 403, `"error":`},
		{"GET", "/v2/models/acme/none", "", 404, `"error":`},
		{"GET", "/v2/models/acme/echo/versions/7", "", 404, `"error":`},
		{"GET", "/v2/models/acme/none/stats", "", 404, `"error":`},
		{"GET", "/v2/models/echo/ready", "", 404, `"error":`}, // the model echo/ready
		{"GET", "/v2/models/echo", "", 404, `publisher/name`},
		{"GET", "/v2/models/acme/echo/else", "", 404, `"error":`},
		{"GET", "/", "", 404, `"error":`},
		{"GET", "/v1/models", "", 404, `"error":`},
		{"GET", "/v2/else", "", 404, `"error":`},
		{"GET", "/v2/models/acme/echo/infer", "", 405, `takes POST`},
		{"POST", "/v2/health/live", "", 405, `takes GET`},
		{"POST", "/v2/models/acme/echo/generate", "{}", 501, `"error":`},
		{"GET", "/v2/systemsharedmemory/status", "", 501, `"error":`},
		{"GET", "/v2/cudasharedmemory/status", "", 501, `"error":`},
		{"GET", "/v2/trace/setting", "", 501, `"error":`},
		{"GET", "/v2/logging", "", 501, `"error":`},
	} {
		t.Run(test.method+test.path, func(t *testing.T) {
			status, header, body := s.do(t, test.method, test.path, test.body)
			if status != test.status || !strings.Contains(body, test.has) {
				t.Errorf("%d %s, want %d with %s", status, body, test.status, test.has)
			}
			if got := header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestModelThatIsNotReady(t *testing.T) {
	models := newFake()
	s := start(t, models, nil)
	models.put(served{Model: serve.Model{Name: "acme/off", Version: "3", Reason: "its golden set failed"}})
	for path, want := range map[string]string{
		"/v2/health/ready":          `{"ready":false}`,
		"/v2/models/acme/off/ready": "golden set",
		"/v2/models/acme/off":       "golden set",
	} {
		if status, _, body := s.do(t, "GET", path, ""); status != 503 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want 503 with %s", path, status, body, want)
		}
	}
	if _, _, body := s.do(t, "POST", "/v2/repository/index", ""); !strings.Contains(body, `{"name":"acme/off","version":"3","state":"UNAVAILABLE","reason":"its golden set failed"}`) {
		t.Errorf("index: %s", body)
	}
	if _, _, body := s.do(t, "POST", "/v2/repository/index", `{"ready":true}`); strings.Contains(body, "acme/off") {
		t.Errorf("index of what is ready: %s", body)
	}
	if status, _, _ := s.do(t, "GET", "/v2/health/live", ""); status != 200 {
		t.Errorf("live: %d", status)
	}
}

func TestInferJSON(t *testing.T) {
	s := start(t, newFake(), nil)
	for _, test := range []struct{ datatype, shape, data, want string }{
		{"FP32", "[1,2]", "[[0.5,-1e-7]]", "[0.5,-1e-07]"},
		{"FP32", "[2]", `["NaN","-Infinity"]`, `["NaN","-Infinity"]`},
		{"FP64", "[2]", "[0.1,2]", "[0.1,2]"},
		{"FP16", "[2]", "[0.5,2]", "[0.5,2]"},
		{"BF16", "[2]", "[0.5,2]", "[0.5,2]"},
		{"INT8", "[2]", "[-128,127]", "[-128,127]"},
		{"UINT8", "[2]", "[0,255]", "[0,255]"},
		{"INT16", "[2]", "[-32768,1]", "[-32768,1]"},
		{"UINT16", "[2]", "[0,65535]", "[0,65535]"},
		{"INT32", "[2]", "[-2147483648,1]", "[-2147483648,1]"},
		{"UINT32", "[2]", "[0,4294967295]", "[0,4294967295]"},
		{"INT64", "[]", "[9223372036854775807]", "[9223372036854775807]"},
		{"UINT64", "[1]", "[18446744073709551615]", "[18446744073709551615]"},
		{"BOOL", "[2]", "[true,false]", "[true,false]"},
		{"BYTES", "[2,1]", `[["a"],["b\u00e4"]]`, "[97,124,98,195,164]"},
		{"FP32", "[0,2]", "[]", "[]"},
	} {
		body := fmt.Sprintf(`{"id":"7","inputs":[{"name":"x","datatype":%q,"shape":%s,"data":%s}]}`, test.datatype, test.shape, test.data)
		status, header, answer := s.do(t, "POST", "/v2/models/acme/echo/infer", body)
		var got wire.InferResponse
		if err := json.Unmarshal([]byte(answer), &got); err != nil || status != 200 {
			t.Errorf("%s: %d %s: %v", test.datatype, status, answer, err)
			continue
		}
		if header.Get(wire.HeaderLength) != "" || got.ID != "7" || got.ModelName != "acme/echo" || got.ModelVersion != "6.2.0" {
			t.Errorf("%s: %s", test.datatype, answer)
		}
		if len(got.Outputs) != 1 || string(got.Outputs[0].Data) != test.want {
			t.Errorf("%s: %s, want data %s", test.datatype, answer, test.want)
		}
	}
}

// binaryRequest has one f32 input of two elements behind the JSON, and more of
// the request as it is given.
func binaryRequest(more string) (body, headerLength string) {
	header := `{"inputs":[{"name":"x","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}}]` + more + `}`
	return header + "\x00\x00\x80\x3f\x00\x00\x00\x40", strconv.Itoa(len(header))
}

func TestInferBinary(t *testing.T) {
	s := start(t, newFake(), nil)
	for _, test := range []struct {
		path, more string
		binary     bool
	}{
		{"/v2/models/acme/echo/infer", "", false},
		{"/v2/models/acme%2Fecho/versions/6.2.0/infer", `,"parameters":{"binary_data_output":true}`, true},
		{"/v2/models/acme/echo/versions/6.2.0/infer", `,"outputs":[{"name":"x","parameters":{"binary_data":true}}]`, true},
		{"/v2/models/acme/echo/infer", `,"parameters":{"binary_data_output":true},"outputs":[{"name":"x","parameters":{"binary_data":false}}]`, false},
	} {
		body, length := binaryRequest(test.more)
		status, header, answer := s.do(t, "POST", test.path, body, wire.HeaderLength, length)
		if status != 200 {
			t.Errorf("%s: %d %s", test.more, status, answer)
			continue
		}
		if !test.binary {
			if header.Get(wire.HeaderLength) != "" || !strings.Contains(answer, `"data":[1,2]`) {
				t.Errorf("%s: %s", test.more, answer)
			}
			continue
		}
		n, err := strconv.Atoi(header.Get(wire.HeaderLength))
		if err != nil || !strings.HasPrefix(answer[n:], "\x00\x00\x80\x3f\x00\x00\x00\x40") || !strings.Contains(answer[:n], `"binary_data_size":8`) {
			t.Errorf("%s: %s", test.more, answer)
		}
	}
}

func TestPacked(t *testing.T) {
	s := start(t, newFake(), nil)
	data := strings.Repeat("\x01\x02\x03\x04", 1000)
	head := `{"parameters":{"binary_data_output":true},"inputs":[{"name":"x","datatype":"UINT32","shape":[1000],"parameters":{"binary_data_size":4000}}]}`
	pack := map[string]func(w io.Writer) io.WriteCloser{
		"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	}
	unpack := map[string]func(r io.Reader) (io.ReadCloser, error){
		"gzip":    func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
		"deflate": zlib.NewReader,
	}
	for encoding := range pack {
		var body bytes.Buffer
		w := pack[encoding](&body)
		if _, err := w.Write([]byte(head + data)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		status, header, answer := s.do(t, "POST", "/v2/models/acme/echo/infer", body.String(),
			"Content-Encoding", encoding, wire.HeaderLength, strconv.Itoa(len(head)), "Accept-Encoding", encoding)
		if status != 200 || header.Get("Content-Encoding") != encoding {
			t.Fatalf("%s: %d %q", encoding, status, header.Get("Content-Encoding"))
		}
		r, err := unpack[encoding](strings.NewReader(answer))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(r)
		if err != nil || !strings.HasSuffix(string(plain), data) {
			t.Errorf("%s: %v, %d bytes", encoding, err, len(plain))
		}
	}
}

func TestUnpackingIsBounded(t *testing.T) {
	s := start(t, newFake(), func(c *serve.Config) { c.MaxRequestBytes = 1 << 20 })
	var body bytes.Buffer
	w := gzip.NewWriter(&body)
	if _, err := w.Write(make([]byte, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _, answer := s.do(t, "POST", "/v2/models/acme/echo/infer", body.String(), "Content-Encoding", "gzip"); status != 413 {
		t.Errorf("%d %s, want 413", status, answer)
	}
	if status, _, answer := s.do(t, "POST", "/v2/models/acme/echo/infer", strings.Repeat(" ", 2<<20)); status != 413 {
		t.Errorf("%d %s, want 413", status, answer)
	}
}

func TestInferErrors(t *testing.T) {
	s := start(t, newFake(), nil)
	const infer = "/v2/models/acme/echo/infer"
	input := func(fields string) string { return `{"inputs":[{"name":"x",` + fields + `}]}` }
	for _, test := range []struct {
		what, path, body string
		status           int
	}{
		{"nothing", infer, "", 400},
		{"no JSON", infer, "hello", 400},
		{"more than JSON", infer, `{"inputs":[]}xyz`, 400},
		{"inputs are no list", infer, `{"inputs":7}`, 400},
		{"deep", infer, strings.Repeat("[", 100000), 400},
		{"no datatype", infer, input(`"shape":[1],"data":[1]`), 400},
		{"no shape", infer, input(`"datatype":"FP32","data":[1]`), 400},
		{"no data", infer, input(`"datatype":"FP32","shape":[1]`), 400},
		{"null data", infer, input(`"datatype":"FP32","shape":[1],"data":null`), 400},
		{"negative shape", infer, input(`"datatype":"FP32","shape":[-1],"data":[1]`), 400},
		{"shape overflows", infer, input(`"datatype":"BYTES","shape":[9223372036854775807,9],"data":[]`), 400},
		{"too few", infer, input(`"datatype":"FP32","shape":[2],"data":[1]`), 400},
		{"too large for its type", infer, input(`"datatype":"UINT8","shape":[1],"data":[256]`), 400},
		{"no number", infer, input(`"datatype":"FP32","shape":[1],"data":["x"]`), 400},
		{"twice", infer, `{"inputs":[{"name":"x","datatype":"FP32","shape":[0],"data":[]},{"name":"x","datatype":"FP32","shape":[0],"data":[]}]}`, 400},
		{"output twice", infer, `{"inputs":[],"outputs":[{"name":"x"},{"name":"x"}]}`, 400},
		{"unknown output", infer, `{"inputs":[],"outputs":[{"name":"y"}]}`, 400},
		{"bad timeout", infer, `{"inputs":[],"parameters":{"timeout":"soon"}}`, 400},
		{"size without bytes", infer, input(`"datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}`), 400},
		{"many inputs", infer, `{"inputs":[` + strings.Repeat(`{},`, 2000) + `{}]}`, 400},
		{"many parameters", infer, `{"inputs":[],"parameters":{"p0":0` + many(1000) + `}}`, 400},
		{"classification", infer, `{"inputs":[],"outputs":[{"name":"x","parameters":{"classification":3}}]}`, 501},
		{"shared memory", infer, input(`"datatype":"FP32","shape":[1],"parameters":{"shared_memory_region":"r"}`), 501},
		{"sequence", infer, `{"inputs":[],"parameters":{"sequence_id":1,"sequence_start":true}}`, 501},
		{"model does not exist", "/v2/models/acme/none/infer", `{"inputs":[]}`, 404},
		{"version does not exist", "/v2/models/acme/echo/versions/1/infer", `{"inputs":[]}`, 404},
		{"does not fit", "/v2/models/acme/picky/infer", `{"inputs":[]}`, 400},
		{"model fails", "/v2/models/acme/broken/infer", `{"inputs":[]}`, 500},
		{"nobody foresaw", "/v2/models/acme/odd/infer", `{"inputs":[]}`, 500},
		{"overloaded", "/v2/models/acme/busy/infer", `{"inputs":[]}`, 429},
		{"timeout", "/v2/models/acme/slow/infer", `{"inputs":[],"parameters":{"timeout":1000}}`, 504},
	} {
		t.Run(test.what, func(t *testing.T) {
			status, _, answer := s.do(t, "POST", test.path, test.body)
			var e struct{ Error string }
			if err := json.Unmarshal([]byte(answer), &e); err != nil || e.Error == "" || status != test.status {
				t.Errorf("%d %s, want %d and an error", status, answer, test.status)
			}
		})
	}
	for _, length := range []string{"-1", "x", "100", "99999999999999999999"} {
		if status, _, answer := s.do(t, "POST", infer, `{"inputs":[]}`, wire.HeaderLength, length); status != 400 {
			t.Errorf("header length %s: %d %s", length, status, answer)
		}
	}
	if status, _, answer := s.do(t, "POST", infer, "x", "Content-Encoding", "br"); status != 501 {
		t.Errorf("content encoding br: %d %s", status, answer)
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"q%d":%d`, i, i)
	}
	return b.String()
}

func TestStatistics(t *testing.T) {
	s := start(t, newFake(), nil)
	for range 3 {
		s.do(t, "POST", "/v2/models/acme/echo/infer", `{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}]}`)
	}
	s.do(t, "POST", "/v2/models/acme/echo/infer", `{`)
	s.do(t, "POST", "/v2/models/acme/none/infer", `{}`)
	stats := s.Stats()
	if len(stats) != 1 || stats[0].Name != "acme/echo" || stats[0].Version != "6.2.0" || stats[0].Success.Count != 3 || stats[0].Fail.Count != 1 {
		t.Fatalf("stats: %+v", stats)
	}
	if m := stats[0]; m.Success.Time < m.Input.Time+m.Infer.Time+m.Output.Time+m.Queue.Time || m.Infer.Time <= 0 {
		t.Errorf("the parts do not add up: %+v", m)
	}
	total := uint64(0)
	for _, n := range stats[0].Latency {
		total += n
	}
	if total != 3 {
		t.Errorf("latency: %v", stats[0].Latency)
	}
	if _, _, body := s.do(t, http.MethodGet, "/v2/models/acme/echo/versions/6.2.0/stats", ""); !strings.Contains(body, `"inference_count":3`) {
		t.Error(body)
	}
}
