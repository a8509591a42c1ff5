package text_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/text"
)

// vast is a file of noise with an island of text, too large to be held. It
// counts what is read.
type vast struct {
	size, at int64
	island   []byte
	read     int64
}

func (v *vast) ReadAt(p []byte, off int64) (int, error) {
	v.read += int64(len(p))
	n := int(min(int64(len(p)), max(v.size-off, 0)))
	for i := range n {
		at := off + int64(i)
		if k := at - v.at; k >= 0 && k < int64(len(v.island)) {
			p[i] = v.island[k]
			continue
		}
		x := uint64(at) * 0x9E3779B97F4A7C15
		p[i] = byte(x >> 56)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func words(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 2))
	var b []byte
	for len(b) < n {
		for range 2 + random.IntN(8) {
			b = append(b, byte('a'+random.IntN(26)))
		}
		b = append(b, ' ')
	}
	return b[:n]
}

func codeAgainst(t *testing.T, r io.ReaderAt, size int64, runs []run) ([]byte, error) {
	t.Helper()
	old, err := text.NewOld(r, size, text.DefaultBudget)
	if err != nil {
		t.Fatal(err)
	}
	enc, m := mix.NewEncoder(nil), text.NewModel(old, total(runs))
	for _, r := range runs {
		if err := m.Code(t.Context(), enc, r.hint, bytes.Clone(r.data)); err != nil {
			return nil, err
		}
	}
	return enc.Finish(), nil
}

// What a run needs of a large file is read, and not the file.
func TestLargeOld(t *testing.T) {
	island := words(1, 50_000)
	for _, c := range []struct {
		name    string
		hint    int64
		size    int64
		reads   int64
		run     []byte
		atMost  int
		atLeast int
	}{
		{"small run, hint", 3_000_000_000 - 100, 8 << 30, 2 << 20, append([]byte("new"), island[:300]...), 60, 1},
		{"small run, wrong hint", 5, 8 << 30, 2 << 20, island[:300], 250, 100},
		{"larger run, no hint", -1, 10 << 20, 24 << 20, island, 6000, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &vast{size: c.size, at: min(3_000_000_000, c.size/2), island: island}
			if c.hint > v.at || c.size < 1<<30 && c.hint >= 0 {
				t.Fatal("the case does not suit the file")
			}
			got, err := codeAgainst(t, v, v.size, []run{{c.run, c.hint}})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes: %d, having read %d", len(c.run), len(got), v.read)
			if len(got) > c.atMost || len(got) < c.atLeast {
				t.Errorf("%d bytes, want %d to %d", len(got), c.atLeast, c.atMost)
			}
			if v.read > c.reads {
				t.Errorf("read %d bytes, want at most %d", v.read, c.reads)
			}
		})
	}
}

// The old file is not looked at before something is coded.
func TestOldIsLazy(t *testing.T) {
	v := &vast{size: 10 << 20}
	old, err := text.NewOld(v, v.size, text.DefaultBudget)
	if err != nil {
		t.Fatal(err)
	}
	text.NewModel(old, 300)
	if v.read != 0 || old.Err() != nil {
		t.Errorf("read %d bytes, %v", v.read, old.Err())
	}
}

// failing reads fail from an offset on.
type failing struct {
	io.ReaderAt
	from int64
	err  error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.from {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}

// Errors of reading and files that are shorter than they were said to be are
// told, both ways.
func TestReadErrors(t *testing.T) {
	data := words(1, 200_000)
	broken := errors.New("disk on fire")
	for _, c := range []struct {
		name string
		r    io.ReaderAt
		want error
	}{
		{"error", failing{bytes.NewReader(data), 100_000, broken}, broken},
		{"short", bytes.NewReader(data[:100_000]), io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, coder := range []*mix.Coder{mix.NewEncoder(nil), mix.NewDecoder(make([]byte, 5000))} {
				old, err := text.NewOld(c.r, int64(len(data)), text.DefaultBudget)
				if err != nil {
					t.Fatal(err)
				}
				err = text.NewModel(old, 1000).Code(t.Context(), coder, 99_500, bytes.Clone(data[99_500:100_500]))
				if !errors.Is(err, c.want) || !errors.Is(old.Err(), c.want) || !strings.Contains(err.Error(), "old file") {
					t.Errorf("got %v, kept %v", err, old.Err())
				}
			}
		})
	}
}

func TestNewOldRefuses(t *testing.T) {
	for name, make := range map[string]func() error{
		"no reader": func() error { _, err := text.NewOld(nil, 1, text.DefaultBudget); return err },
		"size":      func() error { _, err := text.NewOld(&vast{}, -1, text.DefaultBudget); return err },
		"budget":    func() error { _, err := text.NewOld(&vast{}, 1, text.MinBudget-1); return err },
	} {
		if make() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A small budget and every size about the pages' edges work alike.
func TestSizesAndBudgets(t *testing.T) {
	all := words(3, 1<<20)
	for _, size := range []int{0, 1, 15, 16, 65535, 65536, 65537, 600_000, 1 << 20} {
		old := all[:size]
		for _, budget := range []int{text.MinBudget, text.DefaultBudget} {
			change := append(bytes.Clone(old[size/2:]), "end"...)
			change = change[:min(len(change), 5000)]
			var coded []byte
			for _, decode := range []bool{false, true} {
				o, err := text.NewOld(bytes.NewReader(old), int64(size), budget)
				if err != nil {
					t.Fatal(err)
				}
				m, b := text.NewModel(o, int64(len(change))), make([]byte, len(change))
				if !decode {
					c := mix.NewEncoder(nil)
					if err := m.Code(t.Context(), c, int64(size/2), append(b[:0], change...)); err != nil {
						t.Fatal(err)
					}
					coded = c.Finish()
				} else if err := m.Code(t.Context(), mix.NewDecoder(coded), int64(size/2), b); err != nil || !bytes.Equal(b, change) {
					t.Fatalf("old of %d bytes: changed, %v", size, err)
				}
			}
		}
	}
}
