package delta

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/internal/raced"
)

// mostOfTools is what the deltas of all pairs may be in sum, as a share of those
// of the best general tool for each. The wish is 0.80. What stands in its way
// are six pairs of retrained f32 weights, which share nothing with those before
// them: their mantissas are noise, so that 83 % of the file is their entropy,
// against 90 % for the tools; and they are three quarters of the sum. Measured:
// 0.830.
const mostOfTools = 0.835

// quick are the pairs that are tried with the race detector, too.
var quick = []string{"silero-v5.0-5.1", "silero-full-to-16k"}

// Every pair of real models is decoded bit for bit from a delta that is no
// larger than those of the general tools, nor, where weights moved, than those
// of the reference coder.
func TestPairs(t *testing.T) {
	dir := corpus.Dir(t)
	data, err := os.ReadFile(filepath.Join(dir, "PAIRS.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var ours, tools int64
	whole := true
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 7 {
			t.Fatalf("line %d has %d fields", i+1, len(f))
		}
		if i == 0 {
			continue
		}
		name, changed := f[0], f[3]
		tool, reference := size(t, f[5]), size(t, f[6])
		t.Run(name, func(t *testing.T) {
			small := name == quick[0] || name == quick[1]
			if (testing.Short() || raced.Enabled) && !small {
				whole = false
				t.Skip("SKIP: takes seconds, and minutes with the race detector")
			}
			got := roundTrip(t, file(t, dir, f[1]), file(t, dir, f[2]), Options{Effort: codec.Strong}).DeltaBytes
			ours, tools = ours+got, tools+tool
			if got > tool {
				t.Errorf("%d bytes, the best tool takes %d", got, tool)
			}
			moved := !strings.HasPrefix(changed, "graph only") && !strings.HasPrefix(changed, "subset")
			if moved && got > reference {
				t.Errorf("%d bytes, the reference coder takes %d", got, reference)
			}
			t.Logf("%d bytes; tool %d, reference %d", got, tool, reference)
		})
	}
	if !whole || t.Failed() {
		return
	}
	t.Logf("%d bytes in sum, %.4f of the tools", ours, float64(ours)/float64(tools))
	if float64(ours) > mostOfTools*float64(tools) {
		t.Errorf("%d bytes in sum, the best tools take %d: %.4f, at most %.3f", ours, tools, float64(ours)/float64(tools), mostOfTools)
	}
}

func size(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// file reads a file of the corpus.
func file(t *testing.T, dir, name string) Version {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return Version{R: bytes.NewReader(data), Size: int64(len(data)), Name: filepath.Base(name)}
}
