package container_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/container"
)

// find finds the packs of data, and checks what Find promises of them.
func find(tb testing.TB, data []byte) []container.Pack {
	tb.Helper()
	packs, err := container.Find(tb.Context(), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		tb.Fatal(err)
	}
	var end int64
	for _, p := range packs {
		if p.Offset < end || p.Length < 1 || p.Length > int64(len(data))-p.Offset {
			tb.Fatalf("%+v behind byte %d of %d", p, end, len(data))
		}
		end = p.Offset + p.Length
		roundTrip(tb, p, data)
	}
	return packs
}

// roundTrip unpacks a pack and packs it again.
func roundTrip(tb testing.TB, p container.Pack, data []byte) (unpacked []byte) {
	tb.Helper()
	var plain, run bytes.Buffer
	if err := p.Unpack(bytes.NewReader(data), &plain); err != nil {
		tb.Fatalf("%+v: %v", p, err)
	}
	if int64(plain.Len()) != p.Unpacked {
		tb.Fatalf("%+v: unpacked to %d bytes", p, plain.Len())
	}
	if err := p.Repack(bytes.NewReader(plain.Bytes()), &run); err != nil {
		tb.Fatalf("%+v: %v", p, err)
	}
	if !bytes.Equal(run.Bytes(), data[p.Offset:p.Offset+p.Length]) {
		tb.Fatalf("%+v: repacked to other bytes", p)
	}
	return plain.Bytes()
}

func fixture(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// Files by the programs that make them: testdata/make.py. Small streams often
// come out the same at several levels and families; the first is taken.
func TestFindInFilesOfPrograms(t *testing.T) {
	for _, c := range []struct{ file, packs string }{
		{"numpy.npz", "55+6274 zlib/6 12128"},                          // and an array too small to bother
		{"python.zip", "39+2078 zlib/9 13115, 3312+6051 zlib/9 12000"}, // the second behind a stored entry, in zip64
		{"unix.zip", "38+2413 zlib/1 13115"},
		{"unix.txt.gz", "19+2078 zlib/9 13115"},
		{"python.gz", "21+8936 zlib/1 25115, 8986+8877 zlib/6 25115"}, // two members
		{"python.zlib", "2+6060 zlib/3 12000"},
		{"chunks.h5", "4018+3596 zlib/4 6000, 7620+3597 zlib/4 6000"},
	} {
		t.Run(c.file, func(t *testing.T) {
			if got := describe(find(t, fixture(t, c.file))); got != c.packs {
				t.Errorf("got  %s\nwant %s", got, c.packs)
			}
		})
	}
}

func describe(packs []container.Pack) string {
	var list []string
	for _, p := range packs {
		how := "?"
		switch p.Kind {
		case container.Deflate:
			how = fmt.Sprintf("%v/%d", recipe(p).Family, p.Params[1])
		case container.LEB128:
			how = string(p.DType)
		}
		list = append(list, fmt.Sprintf("%d+%d %s %d", p.Offset, p.Length, how, p.Unpacked))
	}
	return strings.Join(list, ", ")
}

// The unpacked bytes are those that went in.
func TestUnpackedIsWhatWentIn(t *testing.T) {
	data := fixture(t, "unix.txt.gz")
	text := roundTrip(t, find(t, data)[0], data)
	if !bytes.HasPrefix(text, []byte("layer.0.weight float32 [0, 0]\n")) {
		t.Errorf("%.40q", text)
	}
}

// counter counts reads and can fail one.
type counter struct {
	r     io.ReaderAt
	reads int
	bytes int
	fail  int // the read that fails, 0: none
}

var errDisk = errors.New("disk is broken")

func (c *counter) ReadAt(p []byte, at int64) (int, error) {
	c.reads++
	c.bytes += len(p)
	if c.reads == c.fail {
		return 0, errDisk
	}
	return c.r.ReadAt(p, at)
}

// zeros is a file of any size.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

func TestFindCostsNothingWithoutContainer(t *testing.T) {
	c := &counter{r: zeros{}}
	packs, err := container.Find(t.Context(), c, 1<<40)
	if err != nil || packs != nil {
		t.Fatal(packs, err)
	}
	if c.reads != 1 || c.bytes > 64<<10 {
		t.Errorf("%d reads of %d bytes in all", c.reads, c.bytes)
	}
}

// Whichever read fails, the error is the file's: no list is better than part
// of one, which another machine would not agree with.
func TestFindReportsErrorsOfTheFile(t *testing.T) {
	for _, name := range []string{"python.zip", "python.gz", "python.zlib", "chunks.h5", "net"} {
		data := slices.Concat([]byte("net "), section(leb(slices.Repeat([]int64{1, 1000}, 30000)...)))
		if name != "net" {
			data = fixture(t, name)
		}
		all := &counter{r: bytes.NewReader(data)}
		if _, err := container.Find(t.Context(), all, int64(len(data))); err != nil {
			t.Fatal(err)
		}
		for i := range all.reads {
			c := &counter{r: bytes.NewReader(data), fail: i + 1}
			if packs, err := container.Find(t.Context(), c, int64(len(data))); !errors.Is(err, errDisk) || packs != nil {
				t.Errorf("%s, read %d of %d: %d packs, %v", name, i+1, all.reads, len(packs), err)
			}
		}
		if _, err := container.Find(t.Context(), bytes.NewReader(data), int64(len(data))+1); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s, shorter than told: %v", name, err)
		}
	}
}

func TestFindStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"python.zip", "python.gz", "python.zlib", "chunks.h5"} {
		data := fixture(t, name)
		if packs, err := container.Find(ctx, bytes.NewReader(data), int64(len(data))); !errors.Is(err, context.Canceled) || packs != nil {
			t.Errorf("%s: %d packs, %v", name, len(packs), err)
		}
	}
	if _, err := container.Find(ctx, bytes.NewReader(nil), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("empty file: %v", err)
	}
}
