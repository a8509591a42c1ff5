package sections_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/sections"
)

// covers fails unless found covers the range exactly, in whole elements.
func covers(tb rapid.TB, found []sections.Section, offset, length int64) {
	tb.Helper()
	at := offset
	for i, s := range found {
		switch {
		case s.Offset != at:
			tb.Fatalf("section %d begins at %d, want %d", i, s.Offset, at)
		case s.Length <= 0 || s.Length%int64(s.Class.Width()) != 0:
			tb.Fatalf("section %d: %d bytes of class %d", i, s.Length, s.Class)
		case s.Class == codec.Other && i > 0 && found[i-1].Class == codec.Other:
			tb.Fatalf("sections %d and %d are both Other", i-1, i)
		case s.Cols != 0 && (s.Class == codec.Other || s.Cols < 2 || s.Cols > sections.MaxCols):
			tb.Fatalf("section %d of class %d has rows of %d", i, s.Class, s.Cols)
		}
		at += s.Length
	}
	if at != offset+length {
		tb.Fatalf("sections end at %d, want %d", at, offset+length)
	}
}

func TestFindCoversAnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 0, 3000),
			rapid.Map(rapid.IntRange(0, 9000), func(n int) []byte { return make([]byte, n) }),
			rapid.Map(rapid.SliceOfN(rapid.Float32Range(-1, 1), 0, 2000), func(v []float32) []byte {
				var b []byte
				for _, f := range v {
					u := math.Float32bits(f)
					b = append(b, byte(u), byte(u>>8), byte(u>>16), byte(u>>24))
				}
				return b
			}),
		)
		data := bytes.Join(rapid.SliceOfN(piece, 0, 5).Draw(t, "pieces"), nil)
		from := rapid.IntRange(0, len(data)).Draw(t, "from")
		to := rapid.IntRange(from, len(data)).Draw(t, "to")
		found, err := sections.Find(t.Context(), bytes.NewReader(data), int64(from), int64(to-from))
		if err != nil {
			t.Fatal(err)
		}
		covers(t, found, int64(from), int64(to-from))
	})
}

func FuzzFind(f *testing.F) {
	f.Add([]byte(nil), uint16(0))
	f.Add([]byte("{\"name\": \"text\"}"), uint16(3))
	f.Add(bytes.Repeat([]byte{0, 0, 0x80, 0x3f, 1, 2, 3, 0xbd}, 700), uint16(1))
	f.Fuzz(func(t *testing.T, data []byte, skip uint16) {
		from := min(int(skip), len(data))
		found, err := sections.Find(t.Context(), bytes.NewReader(data), int64(from), int64(len(data)-from))
		if err != nil {
			t.Fatal(err)
		}
		covers(t, found, int64(from), int64(len(data)-from))
		for class := codec.Other; class <= codec.I64; class++ {
			cols, err := sections.Cols(t.Context(), bytes.NewReader(data), int64(from), int64(len(data)-from), class)
			if err != nil || cols < 0 || cols == 1 || cols > len(data)/class.Width()/4 {
				t.Fatalf("rows of %d, %v", cols, err)
			}
		}
	})
}

func TestFindRefusesRanges(t *testing.T) {
	for _, test := range []struct {
		name           string
		offset, length int64
		want           error
	}{
		{"negative offset", -1, 10, sections.ErrRange},
		{"negative length", 0, -1, sections.ErrRange},
		{"overflow", math.MaxInt64 - 5, 10, sections.ErrRange},
		{"past the end", 0, 200, io.ErrUnexpectedEOF},
		{"far past the end", 1 << 40, 1 << 40, io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := bytes.NewReader(make([]byte, 100))
			if _, err := sections.Find(t.Context(), r, test.offset, test.length); !errors.Is(err, test.want) {
				t.Errorf("Find: %v, want %v", err, test.want)
			}
			if _, err := sections.Cols(t.Context(), r, test.offset, test.length, codec.F32); !errors.Is(err, test.want) {
				t.Errorf("Cols: %v, want %v", err, test.want)
			}
		})
	}
}

func TestFindStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := bytes.NewReader(make([]byte, 1<<20))
	if _, err := sections.Find(ctx, r, 0, 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("Find: %v", err)
	}
	if _, err := sections.Cols(ctx, r, 0, 1<<20, codec.F32); !errors.Is(err, context.Canceled) {
		t.Errorf("Cols: %v", err)
	}
}
