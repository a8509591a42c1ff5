package sections_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/sections"
	"github.com/dunlin-mesh/dunlin/internal/raced"
)

func TestColsFindsRows(t *testing.T) {
	if raced.Enabled {
		t.Skip("SKIP: arithmetic in one goroutine, too slow under the race detector")
	}
	for _, class := range []codec.Class{
		codec.Int8, codec.F16, codec.BF16, codec.I16, codec.F32, codec.I32, codec.F64, codec.I64,
	} {
		for _, cols := range []int{16, 96, 100, 512, 1023, 4096, 16384} {
			t.Run(fmt.Sprintf("%d/%d", class, cols), func(t *testing.T) {
				data := encode(normal(uint64(cols), max(20*cols, 50000), cols), class, 100)
				got, err := sections.Cols(t.Context(), bytes.NewReader(data), 0, int64(len(data)), class)
				if err != nil || got != cols {
					t.Errorf("rows of %d, %v; want %d", got, err, cols)
				}
			})
		}
	}
}

func TestColsOfNoise(t *testing.T) {
	for seed := range uint64(20) {
		data := encode(normal(seed, 100000, 1), codec.F32, 1)
		if got, err := sections.Cols(t.Context(), bytes.NewReader(data), 0, int64(len(data)), codec.F32); err != nil || got != 0 {
			t.Errorf("seed %d: rows of %d, %v; want none", seed, got, err)
		}
	}
	for name, data := range map[string][]byte{"empty": nil, "zeros": make([]byte, 1<<16), "short": {1, 2, 3}} {
		if got, err := sections.Cols(t.Context(), bytes.NewReader(data), 0, int64(len(data)), codec.Int8); err != nil || got != 0 {
			t.Errorf("%s: rows of %d, %v; want none", name, got, err)
		}
	}
}

// The flat nets of the corpus: class, where the array begins, row length.
func TestFindFlatNets(t *testing.T) {
	for _, test := range []struct {
		name  string
		begin int64
		class codec.Class
		cols  int
	}{
		{"berserk-3152k/01-2022-02-07/default.nn", 12, codec.F32, 512},
		{"berserk-3152k/02-2022-02-09/default.nn", 12, codec.F32, 512},
		{"berserk-3152k/03-2022-04-19/default.nn", 12, codec.F32, 512},
		{"berserk-3152k/04-2022-04-26/default.nn", 12, codec.F32, 512},
		{"alexandria-1579k/04-2023-11-04/nn.net", 0, codec.I16, 1024},
		{"alexandria-1579k/05-2023-11-04/nn.net", 0, codec.I16, 1024},
	} {
		t.Run(filepath.Dir(test.name), func(t *testing.T) {
			data := load(t, test.name)
			found, err := sections.Find(t.Context(), bytes.NewReader(data), 0, int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			want := sections.Section{Offset: test.begin, Length: int64(len(data)) - test.begin, Class: test.class, Cols: test.cols}
			if last := found[len(found)-1]; last != want || len(found) > 2 {
				t.Errorf("%v, want %v", found, want)
			}
		})
	}
}
