package serve_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clients returns the Python with tritonclient and KServe's client: that of
// $DUNLIN_CLIENTS, or the one that `make setup-clients` put in place. It skips
// the test, saying so, where there is none.
func clients(t *testing.T) string {
	t.Helper()
	if python := os.Getenv("DUNLIN_CLIENTS"); python != "" {
		return python
	}
	dir := filepath.Join("..", "..", "build", "clients")
	python, err := filepath.Abs(filepath.Join(dir, "bin", "python"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "installed.sha256")); err != nil {
		t.Skip("SKIP: no Python clients of the Open Inference Protocol (make setup-clients, which needs PyPI)")
	}
	return python
}

// The clients that people have, as PyPI has them, work against the server: all
// element types, both forms of tensors, versions, packing, streams, errors.
func TestPublishedClients(t *testing.T) {
	for _, test := range []struct {
		script string
		args   func(http, grpc string) []string
	}{
		{"triton_http.py", func(http, _ string) []string { return []string{http} }},
		{"triton_grpc.py", func(_, grpc string) []string { return []string{grpc} }},
		{"kserve_client.py", func(http, grpc string) []string { return []string{http, grpc} }},
	} {
		t.Run(test.script, func(t *testing.T) {
			python := clients(t)
			s := start(t, newFake(), nil)
			http, grpc := s.Addresses()
			cmd := exec.CommandContext(t.Context(), python, append([]string{filepath.Join("testdata", test.script)}, test.args(http, grpc)...)...)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "passed") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
