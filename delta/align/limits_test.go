package align_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/align"
)

// Tensors that say nothing are left as they stand and are no error.
func TestDegenerate(t *testing.T) {
	rnd := rand.New(rand.NewPCG(20, 20))
	fill := map[string]func(i int) uint32{
		"zeros":      func(int) uint32 { return 0 },
		"all equal":  func(int) uint32 { return math.Float32bits(0.25) },
		"NaN":        func(i int) uint32 { return 0x7fc00000 | uint32(i%3) },
		"infinities": func(i int) uint32 { return 0x7f800000 | uint32(i%2)<<31 },
		"denormals":  func(i int) uint32 { return uint32(i * 7919 % 100) },
		"huge":       func(i int) uint32 { return 0x7f000000 + uint32(i*7919%1000) },
		"noise":      func(int) uint32 { return rnd.Uint32() },
	}
	for name, f := range fill {
		for _, shape := range [][3]int{{64, 64, 1}, {100, 1, 1}, {1, 100, 1}, {30, 4, 9}, {1, 1, 1}, {2, 2, 1}, {1, 1, 300}} {
			n := shape[0] * shape[1] * shape[2]
			u := new(update)
			for i := range n {
				u.old = binary.LittleEndian.AppendUint32(u.old, f(i))
				u.now = binary.LittleEndian.AppendUint32(u.now, f(n-1-i))
			}
			if name == "NaN" || name == "infinities" || name == "denormals" || name == "huge" {
				copy(u.now, u.old) // backwards they are another order, and found
			}
			m := align.Matrix{Class: codec.F32, Rows: shape[0], Cols: shape[1], Block: shape[2]}
			u.pairs = []align.Pair{{Old: m, New: m}}
			perms, aligned, err := align.Permutations(t.Context(), u.again().pairs)
			if err != nil || len(perms) != 0 {
				t.Errorf("%s %v: %v %v, %v", name, shape, perms, aligned, err)
			}
		}
	}
}

// No pairs are no error.
func TestNoPairs(t *testing.T) {
	perms, aligned, err := align.Permutations(t.Context(), nil)
	if err != nil || len(perms)+len(aligned) != 0 {
		t.Errorf("%v %v %v", perms, aligned, err)
	}
}

// Pairs that are none are refused before anything is read.
func TestRefusesWrongPairs(t *testing.T) {
	r := bytes.NewReader(make([]byte, 1000))
	good := align.Matrix{R: r, Class: codec.F32, Rows: 5, Cols: 5, Block: 1}
	for name, change := range map[string]func(p *align.Pair){
		"other rows":   func(p *align.Pair) { p.Old.Rows = 6 },
		"other cols":   func(p *align.Pair) { p.Old.Cols = 6 },
		"other block":  func(p *align.Pair) { p.New.Block = 2 },
		"other class":  func(p *align.Pair) { p.New.Class = codec.I32 },
		"no rows":      func(p *align.Pair) { p.Old.Rows, p.New.Rows = 0, 0 },
		"negative":     func(p *align.Pair) { p.Old.Block, p.New.Block = -1, -1 },
		"before start": func(p *align.Pair) { p.Old.Offset = -1 },
		"no reader":    func(p *align.Pair) { p.New.R = nil },
		"overflow": func(p *align.Pair) {
			p.Old.Rows, p.Old.Cols, p.Old.Block = math.MaxInt/2, math.MaxInt/2, math.MaxInt/2
			p.New.Rows, p.New.Cols, p.New.Block = p.Old.Rows, p.Old.Cols, p.Old.Block
		},
		"too far": func(p *align.Pair) { p.New.Offset = math.MaxInt64 - 50 },
	} {
		p := align.Pair{Old: good, New: good}
		change(&p)
		if _, _, err := align.Permutations(t.Context(), []align.Pair{p}); !errors.Is(err, align.ErrShape) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What no one may have in memory is taken as it stands, unread.
func TestTakesGiantsAsTheyStand(t *testing.T) {
	for _, m := range []align.Matrix{
		{Class: codec.F32, Rows: 1, Cols: 1 << 30, Block: 1},
		{Class: codec.F32, Rows: 1 << 30, Cols: 4, Block: 1},
		{Class: codec.F32, Rows: 4, Cols: 4, Block: 1 << 28},
		{Class: codec.F32, Rows: 1, Cols: 1, Block: 1 << 40},
	} {
		m.R = readerFunc(func([]byte, int64) (int, error) { return 0, errors.New("was read") })
		perms, aligned, err := align.Permutations(t.Context(), []align.Pair{{Old: m, New: m}})
		if err != nil || len(perms) != 0 || aligned[0] != (align.Aligned{Row: -1, Col: -1}) {
			t.Errorf("%v %v %v", perms, aligned, err)
		}
	}
}

// An error of the file comes back; a file that ends early is one.
func TestReadErrors(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 21))
	broken := errors.New("bad sector")
	u := mlp(rnd, 30, 60, 60, 10).reorder(rnd, codec.F32, 1e-3)
	for after := range int64(300) {
		var reads atomic.Int64
		r := u.pairs[0].New.R
		for i := range u.pairs {
			u.pairs[i].New.R = readerFunc(func(p []byte, off int64) (int, error) {
				if reads.Add(1) > after {
					return 0, broken
				}
				return r.ReadAt(p, off)
			})
		}
		if _, _, err := align.Permutations(t.Context(), u.pairs); !errors.Is(err, broken) {
			t.Fatalf("after %d reads: %v", after, err)
		}
		u.again()
	}
	u.now = u.now[:len(u.now)-1]
	if _, _, err := align.Permutations(t.Context(), u.again().pairs); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("file cut short: %v", err)
	}
}

// A cancelled search ends soon, wherever it is.
func TestCancel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(22, 22))
	u := mlp(rnd, 30, 60, 60, 10).reorder(rnd, codec.F32, 1e-3)
	for after := int64(0); after < 500; after += 7 {
		ctx, cancel := context.WithCancel(t.Context())
		var reads, late atomic.Int64
		r := u.pairs[0].New.R
		for i := range u.pairs {
			u.pairs[i].New.R = readerFunc(func(p []byte, off int64) (int, error) {
				switch n := reads.Add(1); {
				case n == after+1:
					cancel()
				case n > after+1:
					late.Add(1)
				}
				return r.ReadAt(p, off)
			})
		}
		_, _, err := align.Permutations(ctx, u.pairs)
		cancel()
		if late.Load() > 0 && !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d reads: %v", after, err)
		}
		if late.Load() > 80 {
			t.Fatalf("%d reads after the end", late.Load())
		}
		u.again()
	}
}

// The result is the same whatever runs beside.
func TestDeterministic(t *testing.T) {
	rnd := rand.New(rand.NewPCG(23, 23))
	u := convs(rnd).reorder(rnd, codec.F16, 1e-2)
	perms, aligned, err := align.Permutations(t.Context(), u.pairs)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for k := range 6 {
		runtime.GOMAXPROCS(1 + k%3)
		p, a, err := align.Permutations(t.Context(), u.pairs)
		if err != nil || !reflect.DeepEqual(p, perms) || !reflect.DeepEqual(a, aligned) {
			t.Fatalf("run %d gave another result: %v", k, err)
		}
	}
}

// Memory stays bounded for tensors that are far larger.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: makes up tensors of 192 MiB")
	}
	// Row i of the new matrix is row i^5 of the old one, moved a little.
	number := func(x, version uint64) uint32 {
		x = x*0x9e3779b97f4a7c15 + 1
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		return 0x3c000000 + uint32(x>>40)&0x807fffff ^ uint32(version*(x&63))
	}
	var most atomic.Uint64
	var reads atomic.Int64
	read := func(cols, version, flip uint64) readerFunc {
		return func(p []byte, off int64) (int, error) {
			at := uint64(off) / 4
			for k := range len(p) / 4 {
				i, j := (at+uint64(k))/cols, (at+uint64(k))%cols
				binary.LittleEndian.PutUint32(p[4*k:], number((i^flip)*cols+j, version))
			}
			if reads.Add(1)%512 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most.Store(max(most.Load(), m.HeapAlloc))
			}
			return len(p), nil
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var pairs []align.Pair
	for _, m := range []align.Matrix{
		{Class: codec.F32, Rows: 1 << 17, Cols: 1 << 6, Block: 1},
		{Class: codec.F32, Rows: 1 << 12, Cols: 1 << 12, Block: 1},
	} {
		old, now := m, m
		old.R, now.R = read(uint64(m.Cols), 0, 0), read(uint64(m.Cols), 1, 5)
		pairs = append(pairs, align.Pair{Old: old, New: now})
	}
	perms, aligned, err := align.Permutations(t.Context(), pairs)
	if err != nil {
		t.Fatal(err)
	}
	checkPerms(t, pairs, perms, aligned)
	for i, a := range aligned {
		if a.Row < 0 || a.Col >= 0 || perms[a.Row][9] != 9^5 {
			t.Errorf("pair %d: aligned %v", i, a)
		}
	}
	used := float64(most.Load()-min(most.Load(), before.HeapAlloc)) / (1 << 20)
	t.Logf("%.1f MiB of memory for tensors of 32 and 64 MiB", used)
	if used > 32 {
		t.Errorf("%.1f MiB of memory, want 32", used)
	}
}

type readerFunc func(p []byte, off int64) (int, error)

func (f readerFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }
