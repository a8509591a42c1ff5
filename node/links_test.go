package node

import (
	"os"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// A model's own name says its priority, then the longest pattern, then nobody.
func TestPriorityOf(t *testing.T) {
	t.Parallel()
	priorities := map[string]int{"acme/vad": 7, "acme/*": 5, "*/*": -3, "acme/v*": 6}
	for model, want := range map[manifest.Model]int{"acme/vad": 7, "acme/vox": 6, "acme/ocr": 5, "other/ocr": -3} {
		if got := priorityOf(priorities, model); got != want {
			t.Errorf("%s has %d, want %d", model, got, want)
		}
	}
	if got := priorityOf(nil, "acme/vad"); got != 0 {
		t.Errorf("without any rule %d", got)
	}
	for _, bad := range []map[string]int{{"acme": 1}, {"acme/*": 101}, {"acme/[": 1}} {
		if validatePriorities(bad) == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

// The operator's word outlives a restart, and is forgotten when it was kept.
func TestAllowancesAreDurable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := loadAllowances(dir)
	if err != nil {
		t.Fatal(err)
	}
	release, other := manifest.SumCID(manifest.DagCBOR, []byte("a")), manifest.SumCID(manifest.DagCBOR, []byte("b"))
	for range 2 { // twice is once
		if err := a.add(api.Allowance{Model: "acme/vad", Version: "1", Manifest: release}); err != nil {
			t.Fatal(err)
		}
	}
	if a, err = loadAllowances(dir); err != nil || !a.has(release) || a.has(other) || len(a.list) != 1 {
		t.Fatalf("after a restart %+v, %v", a.list, err)
	}
	if err := a.drop(release); err != nil {
		t.Fatal(err)
	}
	if a, err = loadAllowances(dir); err != nil || a.has(release) {
		t.Errorf("after it is here %+v, %v", a.list, err)
	}
	if err := os.WriteFile(a.path, []byte(`[{"model":"acme/vad","colour":"red"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadAllowances(dir); err == nil {
		t.Error("an unknown field is taken")
	}
}
