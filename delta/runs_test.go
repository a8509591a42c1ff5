package delta

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
)

// compareBytesOf compares a region at offset skip of next with old bytes.
func compareRuns(t testing.TB, old, next []byte, skip, size int64, width int) []run {
	t.Helper()
	basis, err := newBasisReader(openView(t, old), 0, codec.Int8, transform{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := compare(t.Context(), basis, openView(t, next), 0, skip, size, width)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// Runs cover what was compared, in order, alternating; what they call equal is;
// what differs begins and ends at whole elements.
func TestCompare(t *testing.T) {
	old := randomBytes(1, 300<<10)
	check(t, 60, func(t2 *rapid.T) {
		next := bytes.Clone(old)
		for range rapid.IntRange(0, 4).Draw(t2, "changes") {
			at := rapid.IntRange(0, len(next)-1).Draw(t2, "at")
			n := rapid.SampledFrom([]int{1, 3, 100, 5000, 100000}).Draw(t2, "length")
			for i := at; i < min(at+n, len(next)); i++ {
				next[i] ^= 0x55
			}
		}
		width := rapid.SampledFrom([]int{1, 2, 4, 8}).Draw(t2, "width")
		skip := int64(rapid.IntRange(0, 1000).Draw(t2, "skip") * width)
		size := int64(rapid.IntRange(1, (len(next)-int(skip))/width).Draw(t2, "elements") * width)
		at := skip
		for i, r := range compareRuns(t, old, next, skip, size, width) {
			if r.at != at || r.size <= 0 {
				t2.Fatalf("run %+v at %d", r, at)
			}
			at += r.size
			same := bytes.Equal(next[r.at:r.at+r.size], old[r.at:r.at+r.size])
			if r.equal && !same {
				t2.Fatalf("run %d, %+v, differs", i, r)
			}
			if !r.equal && (same || r.at%int64(width) != 0 || r.size%int64(width) != 0) {
				t2.Fatalf("run %d, %+v, of elements of %d bytes is equal or cuts some", i, r, width)
			}
		}
		if at != skip+size {
			t2.Fatalf("runs end at %d of %d", at, skip+size)
		}
	})
}

// What is equal is a copy, of any length; a few equal bytes between others are
// not worth one.
func TestCompareMerges(t *testing.T) {
	old := randomBytes(1, 100<<10)
	if runs := compareRuns(t, old, old, 0, int64(len(old)), 4); len(runs) != 1 || !runs[0].equal {
		t.Errorf("equal bytes: %+v", runs)
	}
	next := bytes.Clone(old)
	next[40000], next[40000+copyBytes/2] = ^next[40000], ^next[40000+copyBytes/2]
	if runs := compareRuns(t, old, next, 0, int64(len(old)), 4); len(runs) != 3 || runs[1].at != 40000 || runs[1].size != copyBytes/2+4 {
		t.Errorf("two elements that differ nearby: %+v", runs)
	}
	next[0], next[len(next)-1] = ^next[0], ^next[len(next)-1]
	if runs := compareRuns(t, old, next, 0, int64(len(old)), 4); len(runs) != 5 || runs[0].size != 4 || runs[4].size != 4 {
		t.Errorf("both ends differ, too: %+v", runs)
	}
}

// Runs of old bytes are found wherever they stand, byte for byte.
func TestMatcher(t *testing.T) {
	old := randomBytes(1, 200<<10)
	m, err := newMatcher(t.Context(), openView(t, old))
	if err != nil {
		t.Fatal(err)
	}
	check(t, 60, func(t2 *rapid.T) {
		var next []byte
		var want int // bytes of old runs that must be found
		for i := range rapid.IntRange(1, 6).Draw(t2, "runs") {
			next = append(next, randomBytes(uint64(100+i), rapid.IntRange(1, 3000).Draw(t2, "noise"))...)
			n := rapid.IntRange(2*minBlockBytes, 20000).Draw(t2, "length")
			from := rapid.IntRange(0, len(old)-n).Draw(t2, "from")
			next = append(next, old[from:from+n]...)
			if n >= matchBytes {
				want += n
			}
		}
		at := int64(rapid.IntRange(0, min(100, len(next))).Draw(t2, "at"))
		found, err := m.find(t.Context(), openView(t, next), at, int64(len(next))-at, matchBytes)
		if err != nil {
			t2.Fatal(err)
		}
		got, end := 0, at
		for _, f := range found {
			if f.at < end || f.size < matchBytes {
				t2.Fatalf("match %+v after %d", f, end)
			}
			end = f.at + f.size
			if !bytes.Equal(next[f.at:end], old[f.from:f.from+f.size]) {
				t2.Fatalf("match %+v is none", f)
			}
			got += int(f.size)
		}
		if got < want-int(at)-matchBytes { // what at cuts may be too short to count
			t2.Fatalf("found %d bytes of %d", got, want)
		}
	})
}

// Files that repeat themselves, are constant or shorter than a block take no
// more time or memory than others.
func TestMatcherDegenerate(t *testing.T) {
	for name, old := range map[string][]byte{
		"nothing":  nil,
		"short":    randomBytes(1, minBlockBytes-1),
		"constant": make([]byte, 1<<20),
		"periodic": bytes.Repeat(randomBytes(1, minBlockBytes), 1<<15),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := newMatcher(t.Context(), openView(t, old))
			if err != nil {
				t.Fatal(err)
			}
			next := append(randomBytes(2, 1000), old...)
			found, err := m.find(t.Context(), openView(t, next), 0, int64(len(next)), matchBytes)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if !bytes.Equal(next[f.at:f.at+f.size], old[f.from:f.from+f.size]) {
					t.Fatalf("match %+v is none", f)
				}
			}
			if name == "periodic" && (len(found) != 1 || found[0].size != int64(len(old))) {
				t.Errorf("found %+v", found)
			}
		})
	}
}
