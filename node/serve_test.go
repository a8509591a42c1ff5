package node

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/dunlin-mesh/dunlin/node/api"
	pb "github.com/dunlin-mesh/dunlin/runtime/serve/inferencepb"
)

// serving makes a node serve at free ports.
func serving(c *Config) { c.Serve = &ServeConfig{HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0"} }

// ask sends a REST request to a node that serves.
func ask(t *testing.T, b *bystander, method, path, body string) (int, string) {
	t.Helper()
	at := must[api.Status](t, b, "status", nil).Serving
	if at == nil {
		t.Fatal("status does not say where models are served")
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+at.HTTP+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

const inferBody = `{"inputs":[{"name":"x","datatype":"UINT8","shape":[1,2],"data":[1,2]}]}`

// A followed model is served under the mesh's own name as soon as it is active,
// and the next release after it, without a restart.
func TestServing(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	f := neighbour(t, p, root, &fakeEngine{}, serving)
	if status, body := ask(t, f, "POST", "/v2/models/acme/vad/infer", inferBody); status != 404 || !strings.Contains(body, "dunlin follow acme/vad") {
		t.Errorf("a model that is not followed: %d %s", status, body)
	}
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	if status, body := ask(t, f, "POST", "/v2/models/acme/vad/infer", inferBody); status != 503 || !strings.Contains(body, "dunlin wait") {
		t.Errorf("a model that has not come: %d %s", status, body)
	}
	for _, version := range []string{"1.0", "2.0"} {
		last := version[0]
		publish(t, p, vad, version, "vad.onnx", onnx("good", last))
		must[api.Model](t, f, "wait", api.WaitRequest{Model: vad, Version: version, Timeout: patience})
		for _, path := range []string{"/v2/models/acme/vad/infer", "/v2/models/acme%2Fvad/versions/" + version + "/infer"} {
			status, body := ask(t, f, "POST", path, inferBody)
			var answer struct {
				Model   string `json:"model_name"`
				Version string `json:"model_version"`
				Outputs []struct{ Data []int }
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
				t.Fatalf("%s: %d %s", path, status, body)
			}
			if answer.Model != vad || answer.Version != version || answer.Outputs[0].Data[0] != int(last) {
				t.Errorf("%s: %s", path, body)
			}
		}
		if status, body := ask(t, f, "GET", "/v2/models/acme/vad/versions/0.1", ""); status != 404 || !strings.Contains(body, version+" serves") {
			t.Errorf("a version that does not serve: %d %s", status, body)
		}
	}
	if _, body := ask(t, f, "POST", "/v2/repository/index", ""); !strings.Contains(body, `"name":"acme/vad"`) {
		t.Errorf("index: %s", body)
	}
	if status, body := ask(t, f, "POST", "/v2/models/acme/vad/infer", `{"inputs":[{"name":"x","datatype":"BYTES","shape":[1,2],"data":["a","b"]}]}`); status != 400 {
		t.Errorf("BYTES for numbers: %d %s", status, body)
	}
	w := httptest.NewRecorder()
	f.node.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`dunlin_serve_requests_total{model="acme/vad",result="success",version="2.0"} 2`,
		`dunlin_serve_request_seconds_count{model="acme/vad",version="2.0"} 2`,
		`dunlin_serve_phase_seconds_total{model="acme/vad",phase="infer",version="2.0"}`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestServingGRPC(t *testing.T) {
	t.Parallel()
	b := start(t, newHome(t, serving), &fakeEngine{})
	at := must[api.Status](t, b, "status", nil).Serving
	conn, err := grpc.NewClient(at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ready, err := pb.NewGRPCInferenceServiceClient(conn).ServerReady(t.Context(), &pb.ServerReadyRequest{})
	if err != nil || !ready.GetReady() {
		t.Errorf("%v, %v", ready, err)
	}
}

func TestServeAddresses(t *testing.T) {
	for _, test := range []struct {
		flags, configured *ServeConfig
		http, grpc        string // "" for an error
	}{
		{&ServeConfig{}, nil, DefaultServeHTTP, DefaultServeGRPC},
		{&ServeConfig{}, &ServeConfig{HTTP: "h:1", GRPC: "none"}, "h:1", ""},
		{&ServeConfig{GRPC: "g:2"}, &ServeConfig{HTTP: "h:1", GRPC: "none"}, "h:1", "g:2"},
		{&ServeConfig{HTTP: "none", GRPC: "none"}, nil, "", ""},
		{&ServeConfig{HTTP: "8000"}, nil, "", ""},
	} {
		got, err := test.flags.over(test.configured)
		if (err != nil) != (test.http == "" && test.grpc == "") {
			t.Errorf("%+v: %v", test, err)
		}
		if http, grpc := got.addresses(); err == nil && (http != test.http || grpc != test.grpc) {
			t.Errorf("%+v: %q, %q", test, http, grpc)
		}
	}
	c := quietConfig()
	c.Serve = &ServeConfig{GRPC: "nowhere"}
	if err := c.Validate(); err == nil {
		t.Error("an address without a port is accepted")
	}
}

// A node that cannot serve where it should does not run.
func TestAddressInUse(t *testing.T) {
	t.Parallel()
	b := start(t, newHome(t, serving), nil)
	taken := must[api.Status](t, b, "status", nil).Serving.HTTP
	n, err := Open(Options{Dir: newHome(t, nil), Serve: &ServeConfig{HTTP: taken}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Run(context.WithoutCancel(t.Context())); err == nil || !strings.Contains(err.Error(), taken) {
		t.Errorf("a taken address: %v", err)
	}
}
