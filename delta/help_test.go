package delta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/internal/raced"
)

var efforts = []codec.Effort{codec.Fast, codec.Strong}

func version(b []byte) Version {
	return Version{R: bytes.NewReader(b), Size: int64(len(b))}
}

// encode returns the delta between bytes.
func encode(t testing.TB, old, next []byte, opt Options) []byte {
	t.Helper()
	var out bytes.Buffer
	report, err := Encode(t.Context(), version(old), version(next), &out, opt)
	if err != nil {
		t.Fatal(err)
	}
	if report.DeltaBytes != int64(out.Len()) || report.OldBytes != int64(len(old)) || report.NewBytes != int64(len(next)) {
		t.Fatalf("report of %+v for a delta of %d bytes", report, out.Len())
	}
	return out.Bytes()
}

// decode returns what Decode wrote, and its error.
func decode(t testing.TB, old, data []byte) ([]byte, error) {
	t.Helper()
	var out bytes.Buffer
	err := Decode(t.Context(), version(old), bytes.NewReader(data), &out, Options{})
	return out.Bytes(), err
}

// roundTrip fails unless the delta of two versions gives the new one.
func roundTrip(t testing.TB, old, next Version, opt Options) Report {
	t.Helper()
	var delta, back bytes.Buffer
	report, err := Encode(t.Context(), old, next, &delta, opt)
	if err != nil {
		t.Fatal(err)
	}
	err = Decode(t.Context(), old, bytes.NewReader(delta.Bytes()), &back, Options{NewSize: next.Size, Temp: opt.Temp})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, next.Size)
	if err := readFull(next.R, want, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Bytes(), want) {
		t.Fatal("decoded another file without an error")
	}
	return report
}

// known says whether an error is one that Decode promises for what is wrong
// with a delta.
func known(err error) bool {
	for _, want := range []error{ErrDelta, ErrVersion, ErrBasis, ErrResult} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// weightBytes returns n weights of a bell shape as f32, drawn with the seed 1
// and moved a little for other seeds. They are sums of integers: the same on
// every architecture.
func weightBytes(seed uint64, n int) []byte {
	base, move := rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(seed, 2))
	bell := func(r *rand.Rand) (sum int) {
		for range 4 {
			sum += r.IntN(1<<16) - 1<<15
		}
		return sum
	}
	out := make([]byte, 0, 4*n)
	for range n {
		w := bell(base) << 3
		if seed > 1 {
			w += bell(move) >> 7
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(w)/(1<<23)))
	}
	return out
}

// modelBytes returns a file that looks like a small model: text, then weights,
// then text.
func modelBytes(seed uint64, n int) []byte {
	out := []byte("a header of a model that nobody knows, version 1\n")
	out = append(out, weightBytes(seed, n)...)
	return append(out, "and a trailer, which is text again, as such files have them"...)
}

// randomBytes returns noise.
func randomBytes(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	out := make([]byte, n)
	_, _ = r.Read(out)
	return out
}

// openView returns a view of bytes without packed runs.
func openView(t testing.TB, b []byte) *view {
	t.Helper()
	v, err := newView(t.Context(), bytes.NewReader(b), int64(len(b)), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// check is rapid.Check with n runs, unless -rapid.checks says otherwise, and a
// tenth of them with the race detector on.
func check(t *testing.T, n int, property func(*rapid.T)) {
	t.Helper()
	if raced.Enabled {
		n = n/10 + 1
	}
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(n)); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Value.Set(f.DefValue) }()
	}
	rapid.Check(t, property)
}

// putF32 writes a number, rounded to f32.
func putF32(p []byte, x float64) {
	binary.LittleEndian.PutUint32(p, math.Float32bits(float32(x)))
}

// leaks fails if a goroutine of this package is at work.
func leaks(t *testing.T) {
	t.Helper()
	buf := make([]byte, 1<<20)
	all := string(buf[:runtime.Stack(buf, true)])
	for _, name := range []string{"delta.newTee", "delta.(*encoder)", "delta.(*decoder)", "delta.(*repacker)"} {
		if strings.Contains(all, name) {
			t.Errorf("a goroutine of %s stays:\n%s", name, all)
		}
	}
}
