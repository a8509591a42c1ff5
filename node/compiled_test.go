package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// TestOldCompiledModelsAreRemoved and nothing else of the cache, nor what a load
// under way may be using.
func TestOldCompiledModelsAreRemoved(t *testing.T) {
	n := &Node{dir: t.TempDir()}
	if bytes, err := n.removeCompiled(time.Now()); bytes != 0 || err != nil {
		t.Errorf("without a cache: %d, %v", bytes, err)
	}
	dir := CompiledDir(n.dir, modelrt.OpenVINO)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	blob, kept := filepath.Join(dir, "1.blob"), filepath.Join(CacheDir(n.dir), "profile.json")
	for _, path := range []string{blob, kept} {
		if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if bytes, err := n.removeCompiled(time.Now()); bytes != 0 || err != nil {
		t.Errorf("new: %d, %v", bytes, err)
	}
	if bytes, err := n.removeCompiled(time.Now().Add(2 * compiledAge)); bytes != 5 || err != nil {
		t.Errorf("old: %d, %v", bytes, err)
	}
	if _, err := os.Stat(blob); err == nil {
		t.Error("the compiled model is there")
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}
