package delta

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/internal/raced"
)

// counting counts what is written.
type counting int

func (c *counting) Write(p []byte) (int, error) {
	*c += counting(len(p))
	return len(p), nil
}

// tryDecode decodes what may be anything, and fails unless the error is one that
// is promised and no more is written than the delta says the new file has.
func tryDecode(t testing.TB, old, next, data []byte) error {
	t.Helper()
	var out bytes.Buffer
	err := Decode(t.Context(), version(old), bytes.NewReader(data), &out, Options{NewSize: int64(len(next))})
	if err != nil && !known(err) {
		t.Errorf("error of no kind: %v", err)
	}
	if err == nil && !bytes.Equal(out.Bytes(), next) {
		t.Error("decoded another file without an error")
	}
	if out.Len() > len(next) {
		t.Errorf("wrote %d bytes of %d", out.Len(), len(next))
	}
	return err
}

// small returns two versions whose delta has most kinds of steps.
func small() (old, next []byte) {
	old = append(modelBytes(1, 250), randomBytes(1, 300)...)
	next = append(modelBytes(2, 250), randomBytes(1, 300)...)
	copy(next[600:], "a few bytes that are new")
	return old, next
}

// Whatever a delta holds, decoding ends with one of the errors promised and
// writes no more than the delta says the new file has.
func FuzzDecode(f *testing.F) {
	old, next := small()
	for _, effort := range efforts {
		f.Add(encode(f, old, next, Options{Effort: effort}))
	}
	f.Add(encode(f, old, old, Options{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var n counting
		err := Decode(t.Context(), version(old), bytes.NewReader(data), &n, Options{NewSize: int64(len(next))})
		if err != nil && !known(err) {
			t.Errorf("error of no kind: %v", err)
		}
		if int(n) > len(next) {
			t.Errorf("wrote %d bytes of %d", n, len(next))
		}
	})
}

// A delta that ends early, wherever, is malformed; one with any byte changed
// never gives another file without an error.
func TestDamaged(t *testing.T) {
	old, next := small()
	for _, effort := range efforts {
		data := encode(t, old, next, Options{Effort: effort})
		step := 1
		if raced.Enabled || testing.Short() {
			step = 17
		}
		for n := 0; n < len(data); n += step {
			if err := tryDecode(t, old, next, data[:n]); !errors.Is(err, ErrDelta) {
				t.Fatalf("effort %v, first %d of %d bytes: %v", effort, n, len(data), err)
			}
		}
		for at := 0; at < len(data); at += step {
			bad := bytes.Clone(data)
			bad[at] ^= 1 << (at % 8)
			if err := tryDecode(t, old, next, bad); err == nil && at < len(data)-1 {
				// The coder's last bytes may not matter to any bit.
				t.Logf("effort %v: byte %d of %d does not matter", effort, at, len(data))
			}
			if t.Failed() {
				t.Fatalf("effort %v, byte %d of %d", effort, at, len(data))
			}
		}
	}
}

// Whose delta, version, or old file is wrong is told before anything is
// written.
func TestRefused(t *testing.T) {
	old, next := small()
	data := encode(t, old, next, Options{Effort: codec.Fast})
	other := bytes.Clone(old)
	other[5] ^= 1
	version2 := bytes.Clone(data)
	version2[2] = FormatVersion + 1
	for _, c := range []struct {
		name      string
		old, data []byte
		size      int64
		want      error
	}{
		{"nothing", old, nil, 0, ErrDelta},
		{"no delta", old, []byte("PK\x03\x04 and so on, for some time"), 0, ErrDelta},
		{"a later format", old, version2, 0, ErrVersion},
		{"shorter old file", old[1:], data, 0, ErrBasis},
		{"other old file", other, data, 0, ErrBasis},
		{"no old file", nil, data, 0, ErrBasis},
		{"other new size", old, data, int64(len(next)) + 1, ErrDelta},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n counting
			err := Decode(t.Context(), version(c.old), bytes.NewReader(c.data), &n, Options{NewSize: c.size})
			if !errors.Is(err, c.want) || n > 0 {
				t.Errorf("%v after %d bytes, want %v", err, n, c.want)
			}
		})
	}
}

// An old file that is another one beyond its sketch shows in the result.
func TestOtherOldFile(t *testing.T) {
	old := randomBytes(1, 400<<10)
	next := append(bytes.Clone(old), "and more"...)
	data := encode(t, old, next, Options{})
	old[(int64(len(old))-sketchRunBytes)/(sketchRuns-1)-1] ^= 1 // between two runs
	if _, err := decode(t, old, data); !errors.Is(err, ErrResult) {
		t.Errorf("%v, want %v", err, ErrResult)
	}
}

// Decode stops after the delta: what follows is for whoever reads on.
func TestDecodeStops(t *testing.T) {
	old, next := small()
	data := append(encode(t, old, next, Options{}), "and more"...)
	if err := tryDecode(t, old, next, data); err != nil {
		t.Error(err)
	}
}

// broken reads and writes until a limit, then fails.
type broken struct {
	r    io.ReaderAt
	left int64
	err  error
}

func (b *broken) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > b.left {
		return 0, b.err
	}
	return b.r.ReadAt(p, at)
}

// Errors of the files and of the writer come through.
func TestErrorsPass(t *testing.T) {
	boom := errors.New("boom")
	old, next := modelBytes(1, 3000), modelBytes(2, 3000)
	a, b := version(old), version(next)
	fails := func(v Version, left int64) Version {
		return Version{R: &broken{v.R, left, boom}, Size: v.Size}
	}
	for _, effort := range efforts {
		opt := Options{Effort: effort}
		data := encode(t, old, next, opt)
		for _, left := range []int64{0, 5000, a.Size - 1} {
			if _, err := Encode(t.Context(), fails(a, left), b, io.Discard, opt); !errors.Is(err, boom) {
				t.Errorf("encode, old file fails at %d: %v", left, err)
			}
			if _, err := Encode(t.Context(), a, fails(b, left), io.Discard, opt); !errors.Is(err, boom) {
				t.Errorf("encode, new file fails at %d: %v", left, err)
			}
			if err := Decode(t.Context(), fails(a, left), bytes.NewReader(data), io.Discard, Options{}); !errors.Is(err, boom) || known(err) {
				t.Errorf("decode, old file fails at %d: %v", left, err)
			}
		}
		for _, room := range []int{0, 1, 50, len(data) - 1} {
			if _, err := Encode(t.Context(), a, b, &fullWriter{room, boom}, opt); !errors.Is(err, boom) {
				t.Errorf("encode, room for %d: %v", room, err)
			}
			if err := Decode(t.Context(), a, bytes.NewReader(data), &fullWriter{room, boom}, Options{}); !errors.Is(err, boom) || known(err) {
				t.Errorf("decode, room for %d: %v", room, err)
			}
			from := io.MultiReader(bytes.NewReader(data[:room]), &failingReader{boom})
			if err := Decode(t.Context(), a, from, io.Discard, Options{}); !errors.Is(err, boom) || known(err) {
				t.Errorf("decode, delta fails at %d: %v", room, err)
			}
		}
	}
}

type failingReader struct{ err error }

func (r *failingReader) Read([]byte) (int, error) { return 0, r.err }

// When the context ends, both ways stop with its error, join what they started
// and leave no file.
func TestCancelled(t *testing.T) {
	old, next := modelBytes(1, 1<<20), modelBytes(2, 1<<20)
	data := encode(t, old, next, Options{Effort: codec.Fast})
	// Reads of the old file that are allowed before the context ends.
	for _, reads := range []int{0, 1, 20, 80} {
		temp := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		a := Version{R: &cancelling{bytes.NewReader(old), make(chan struct{}, reads), cancel}, Size: int64(len(old))}
		if _, err := Encode(ctx, a, version(next), io.Discard, Options{Effort: codec.Fast, Temp: temp}); !errors.Is(err, context.Canceled) {
			t.Errorf("encode after %d reads: %v", reads, err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		out := &cancellingWriter{reads << 12, cancel}
		if err := Decode(ctx, version(old), bytes.NewReader(data), out, Options{Temp: temp}); !errors.Is(err, context.Canceled) {
			t.Errorf("decode after %d bytes: %v", reads<<12, err)
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%d files stay: %v", len(left), err)
		}
		cancel()
	}
	leaks(t)
}

// cancelling cancels when its channel is full; it serves several goroutines.
type cancelling struct {
	r      io.ReaderAt
	free   chan struct{}
	cancel func()
}

func (c *cancelling) ReadAt(p []byte, at int64) (int, error) {
	select {
	case c.free <- struct{}{}:
	default:
		c.cancel()
	}
	return c.r.ReadAt(p, at)
}

type cancellingWriter struct {
	left   int
	cancel func()
}

func (c *cancellingWriter) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		c.cancel()
	}
	return len(p), nil
}

// What is unpacked goes to the folder that was named, and nothing stays there;
// if there is no such folder, the error says so.
func TestTemp(t *testing.T) {
	file, packs, _ := packedFile(t)
	packs[2].Unpacked = memoryBytes // as newView sums it; unpacking fails later
	dir := t.TempDir()
	if _, err := newView(t.Context(), bytes.NewReader(file), int64(len(file)), packs, dir); err == nil {
		t.Error("unpacked more than there is")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files stay: %v", len(left), err)
	}
	missing := filepath.Join(dir, "missing")
	_, err := newView(t.Context(), bytes.NewReader(file), int64(len(file)), packs, missing)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("folder that is missing: %v", err)
	}
}

// Files larger than any that a manifest names are refused, not coded.
func TestSizes(t *testing.T) {
	for _, size := range []int64{-1, 1 << 62} {
		bad := Version{R: bytes.NewReader(nil), Size: size}
		if _, err := Encode(t.Context(), bad, version(nil), io.Discard, Options{}); err == nil {
			t.Errorf("old file of %d bytes", size)
		}
		if _, err := Encode(t.Context(), version(nil), bad, io.Discard, Options{}); err == nil {
			t.Errorf("new file of %d bytes", size)
		}
	}
}
