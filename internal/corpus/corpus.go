// Package corpus finds the shared corpus of real models for tests and
// benchmarks. Nothing in production imports it.
package corpus

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the corpus folder: $DUNLIN_CORPUS, or shared/corpus beside one of
// the folders above the test's own. It skips the test, saying so, where there
// is none.
func Dir(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("DUNLIN_CORPUS"); dir != "" {
		return dir
	}
	wd, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for at := wd; ; at = filepath.Dir(at) {
		dir := filepath.Join(at, "shared", "corpus")
		if _, err := os.Stat(filepath.Join(dir, "MANIFEST.tsv")); err == nil {
			return dir
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	tb.Skip("SKIP: no corpus of real models: set DUNLIN_CORPUS to its folder")
	return ""
}

// File returns the path of one corpus file, such as
// "silero-onnx/v6.2/silero_vad.onnx"; it skips the test where the corpus is
// absent and fails it where only the file is.
func File(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join(Dir(tb), filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		tb.Fatalf("corpus is incomplete: %v", err)
	}
	return path
}
