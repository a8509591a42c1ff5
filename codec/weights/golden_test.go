package weights_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/weights"
)

// The coded bytes are a format: they are the same for ever and on every
// architecture. testdata/golden.txt holds the length and the beginning of the
// SHA-256 of arrays of every class and kind, made from integers alone; run with
// DUNLIN_GOLDEN=write to accept a new format.
func TestGolden(t *testing.T) {
	var got strings.Builder
	note := func(class codec.Class, kind string, coded []byte) {
		sum := sha256.Sum256(coded)
		fmt.Fprintf(&got, "%s %s %d %x\n", classNames[class], kind, len(coded), sum[:8])
	}
	for _, class := range allClasses {
		for _, kind := range allKinds {
			a := makeArray(class, kind, 10_000)
			note(class, kind, roundTrip(t, class, &a))
		}
		a := makeArray(class, kindSparse, 10_000)
		a.sparse = true
		note(class, "gaps", roundTrip(t, class, &a))
		// One model for several arrays with rows of other lengths.
		enc, m := mix.NewEncoder(nil), weights.NewModel(class, true)
		for i, cols := range []int{0, 1, 2, 700, 48} {
			a := makeArray(class, allKinds[i%2], 1000+i)
			a.cols, a.start = cols, 0
			a.encode(m, enc, a.params(class))
		}
		note(class, "series", enc.Finish())
		// Hints for a half.
		a = makeArray(class, kindRest, 3000)
		enc, m = mix.NewEncoder(nil), a.model(class)
		m.Begin(a.params(class), a.start)
		half := 1500 * class.Width()
		m.Code(enc, a.old[:half], a.rest[:1500], a.next[:half])
		m.Code(enc, a.old[half:], nil, a.next[half:])
		note(class, "hints", enc.Finish())
	}
	path := filepath.Join("testdata", "golden.txt")
	if os.Getenv("DUNLIN_GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got.String(), "\n") {
		if i >= len(lines) || line != lines[i] {
			t.Errorf("got %q, want %q", line, lines[min(i, len(lines)-1)])
		}
	}
}
