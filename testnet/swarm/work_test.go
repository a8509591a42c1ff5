package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// Workloads are what their names say, and the same in every run.
func TestWorks(t *testing.T) {
	const size = 1_000_000
	for _, w := range works {
		old, updated := w.build(size)
		again, later := w.build(size)
		if string(old) != string(again) || string(updated) != string(later) {
			t.Errorf("%s: two runs differ", w.name)
		}
		if len(updated) != size || old != nil && len(old) != size {
			t.Errorf("%s: %d and %d bytes, want %d", w.name, len(old), len(updated), size)
		}
	}
	byName := func(name string) ([]byte, []byte) {
		for _, w := range works {
			if w.name == name {
				return w.build(size)
			}
		}
		t.Fatalf("no work %s", name)
		return nil, nil
	}

	old, updated := byName("tail")
	if string(old[:size*95/100]) != string(updated[:size*95/100]) {
		t.Error("tail: more than the last 5 % changed")
	}
	if n := differ(old, updated, 4); n < size/4*4/100 {
		t.Errorf("tail: only %d weights changed", n)
	}
	old, updated = byName("sparse")
	if n := differ(old, updated, 4); n < 2300 || n > 2700 {
		t.Errorf("sparse: %d weights of %d changed, want about 1 %%", n, size/4)
	}
	old, updated = byName("int8")
	if n := differ(old, updated, 1); n < 29_000 || n > 31_000 {
		t.Errorf("int8: %d weights of %d changed, want about 3 %%", n, size)
	}
	for i := range old {
		if d := int(int8(updated[i])) - int(int8(old[i])); d < -1 || d > 1 {
			t.Fatalf("int8: weight %d changed by %d", i, d)
		}
	}
}

func differ(a, b []byte, width int) (n int) {
	for at := 0; at+width <= len(a); at += width {
		if string(a[at:at+width]) != string(b[at:at+width]) {
			n++
		}
	}
	return n
}

// weightsDigest is of the first 400,000 bytes.
const weightsDigest = "9acbeee74534645b"

// The weights have the deviation that they should have, and never change: all
// figures that were ever published are of them.
func TestWeights(t *testing.T) {
	data := floats(400_000)
	var sum, squares float64
	for at := 0; at < len(data); at += 4 {
		w := float64(math.Float32frombits(binary.LittleEndian.Uint32(data[at:])))
		sum, squares = sum+w, squares+w*w
	}
	n := float64(len(data) / 4)
	if mean, dev := sum/n, math.Sqrt(squares/n); math.Abs(mean) > 0.0005 || math.Abs(dev-deviation) > 0.0005 {
		t.Errorf("mean %f and deviation %f, want 0 and %f", mean, dev, deviation)
	}
	digest := sha256.Sum256(data)
	if got := hex.EncodeToString(digest[:8]); got != weightsDigest {
		t.Errorf("weights have the digest %s, want %s: figures are no longer comparable", got, weightsDigest)
	}
}

// A safetensors file says where its one tensor lies.
func TestSafetensors(t *testing.T) {
	for _, w := range works {
		_, data := w.build(1000)
		file := w.safetensors(data)
		length := binary.LittleEndian.Uint64(file)
		var header map[string]struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets []int  `json:"data_offsets"`
		}
		if err := json.Unmarshal(file[8:8+length], &header); err != nil {
			t.Fatal(err)
		}
		h := header["weights"]
		width := 4
		if w.dtype == "I8" {
			width = 1
		}
		if h.DType != w.dtype || h.Shape[0]*width != 1000 || h.Offsets[0] != 0 || h.Offsets[1] != 1000 {
			t.Errorf("%s: header %+v", w.name, h)
		}
		if string(file[8+length:]) != string(data) {
			t.Errorf("%s: the data is not what follows the header", w.name)
		}
	}
}

func TestParseUse(t *testing.T) {
	const stat = "42 (a (odd) name) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 1 2 3"
	u, err := parseUse([]byte(stat), []byte("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n"))
	if err != nil || u.CPU.Seconds() != 2 || u.Peak != 2<<20 {
		t.Errorf("%+v, %v, want 2 s and 2 MiB", u, err)
	}
	for _, bad := range []string{"", "42 (x", "42 (x) S 1 2", strings.Replace(stat, "150", "x", 1)} {
		if _, err := parseUse([]byte(bad), nil); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestTables(t *testing.T) {
	r := report{Rows: []row{
		{Case: "tail", System: dunlinName, Run: 1, Ideal: ideal{Bytes: 1000}, Target: target{Bytes: 1, Time: 1.6}, Seconds: 2, TimeRatio: 1.5, SiteIn: []uint64{0, 990}, SiteOut: []uint64{1010, 0}, BytesRatio: 0.99, WorstRatio: 0.99, Use: []use{{}, {Came: 200, Duplicates: 1}}},
		{Case: "dark", System: dunlinName, Run: 1, Baseline: "tail", Ideal: ideal{Bytes: 1000, Measured: true}, Target: target{Fault: 1.1}, Seconds: 3, SiteIn: []uint64{0, 990}, SiteOut: []uint64{1010, 0}, BytesRatio: 1.98},
		{Case: "idle", System: "aria2", IdleSeconds: 60, IdlePerNode: 1234},
		{Case: "cold", System: "rsync", Problem: "it broke"},
	}}
	var b strings.Builder
	if err := r.writeTables(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| tail | dunlin | 0.990* (0.990) ≤ 1.00 | 1.50 ≤ 1.60 | 2.00 | 1.01 | 0.50 % |",
		"| dark | dunlin | 2.000 ≤ 1.10 | 1.500 ≤ 1.10 |",
		"| idle | aria2 | 1234 |", "FAILED cold rsync: it broke",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	if err := r.failure(); err == nil || !strings.Contains(err.Error(), "cold rsync") {
		t.Errorf("failure is %v", err)
	}
}

// A torrent names its file, its length and its pieces.
func TestTorrent(t *testing.T) {
	got := string(torrent("http://t/a", "m", make([]byte, pieceSize+1)))
	const want = "d8:announce10:http://t/a4:infod6:lengthi262145e4:name1:m12:piece lengthi262144e6:pieces40:"
	if !strings.HasPrefix(got, want) || len(got) != len(want)+40+2 {
		t.Errorf("%q, want %q, 40 bytes and two ends", got, want)
	}
}
