package delta_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta"
)

func roundTrip(t *testing.T, oldPath, newPath string, effort codec.Effort) delta.Report {
	t.Helper()
	old, err := os.ReadFile(oldPath)
	if err != nil {
		t.Fatal(err)
	}
	next, err := os.ReadFile(newPath)
	if err != nil {
		t.Fatal(err)
	}
	a := delta.Version{R: bytes.NewReader(old), Size: int64(len(old)), Name: filepath.Base(oldPath)}
	b := delta.Version{R: bytes.NewReader(next), Size: int64(len(next)), Name: filepath.Base(newPath)}
	var out, back bytes.Buffer
	start := time.Now()
	report, err := delta.Encode(t.Context(), a, b, &out, delta.Options{Effort: effort})
	if err != nil {
		t.Fatal(err)
	}
	mid := time.Now()
	if err := delta.Decode(t.Context(), a, bytes.NewReader(out.Bytes()), &back, delta.Options{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Bytes(), next) {
		t.Fatal("not the new file")
	}
	t.Logf("%s: %d to %d, encode %.1f MB/s decode %.1f MB/s", newPath, len(next), out.Len(), float64(len(next))/mid.Sub(start).Seconds()/1e6, float64(len(next))/time.Since(mid).Seconds()/1e6)
	return report
}

func TestPairs(t *testing.T) {
	dir := "/work/shared/corpus/"
	data, err := os.ReadFile(dir + "PAIRS.tsv")
	if err != nil {
		t.Skip(err)
	}
	for _, line := range bytes.Split(data, []byte("\n"))[1:] {
		f := bytes.Split(line, []byte("\t"))
		if len(f) < 7 {
			continue
		}
		t.Run(string(f[0]), func(t *testing.T) {
			r := roundTrip(t, dir+string(f[1]), dir+string(f[2]), codec.Strong)
			t.Logf("RATIO %s tool %s ref %s ours %d (%s)", f[0], f[5], f[6], r.DeltaBytes, f[3])
			if os.Getenv("PARTS") != "" {
				for _, p := range r.Parts {
					if p.Coded > 1000 {
						t.Logf("%8d of %8d %s %s %.60s", p.Coded, p.Bytes, p.Encoding, p.DType, p.Name)
					}
				}
			}
		})
	}
}
