package align_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/align"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
)

// tensor is a matrix of a test's network. Its axes belong to layers of hidden
// units by number; those of number 0 keep their order.
type tensor struct {
	name              string
	rows, cols, block int
	rowUnits, colUnit int
	v                 []float64
}

// network is tensors and, for each layer of units, how many there are.
type network struct {
	tensors []tensor
	units   []int // units[0] is unused
}

// layer adds a layer of n units.
func (n *network) layer(units int) int {
	if n.units == nil {
		n.units = []int{0}
	}
	n.units = append(n.units, units)
	return len(n.units) - 1
}

// add adds a tensor of normal values.
func (n *network) add(rnd *rand.Rand, rows, cols, block, rowUnits, colUnits int) {
	t := tensor{rows: rows, cols: cols, block: block, rowUnits: rowUnits, colUnit: colUnits, v: make([]float64, rows*cols*block)}
	for i := range t.v {
		t.v[i] = rnd.NormFloat64() * 0.1
	}
	n.tensors = append(n.tensors, t)
}

// mlp is a network of fully connected layers with biases.
func mlp(rnd *rand.Rand, sizes ...int) *network {
	n := new(network)
	before := 0
	for i := 1; i < len(sizes); i++ {
		after := 0
		if i < len(sizes)-1 {
			after = n.layer(sizes[i])
		}
		n.add(rnd, sizes[i], sizes[i-1], 1, after, before)
		n.add(rnd, sizes[i], 1, 1, after, 0)
		before = after
	}
	return n
}

// ocr is a real network whose tensors are linked by size, which gives layers
// about as many and as large as it has.
func ocr(tb testing.TB) *network {
	tb.Helper()
	path := corpus.File(tb, "ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx")
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := chunker.Layout(tb.Context(), bytes.NewReader(data), int64(len(data)), path, chunker.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	n := new(network)
	owner := make(map[string]int) // layer that a name's tensor puts out
	latest := 0
	for _, t := range l.Tensors {
		if t.DType != "f32" || t.Length < 64 {
			continue
		}
		x := tensor{name: t.Name, rows: int(t.Shape[0]), cols: 1, block: 1}
		if len(t.Shape) > 1 {
			x.cols = int(t.Shape[1])
			for _, s := range t.Shape[2:] {
				x.block *= int(s)
			}
			base, _, _ := strings.Cut(x.name, ".")
			in, out := x.cols, x.rows
			linear := strings.HasPrefix(base, "linear")
			if linear {
				in, out = out, in
			}
			from := 0
			if latest > 0 && n.units[latest] == in {
				from = latest
			}
			switch {
			case x.cols == 1 && latest > 0 && n.units[latest] == x.rows: // depthwise
				x.rowUnits = latest
			case linear:
				latest = n.layer(out)
				x.rowUnits, x.colUnit = from, latest
			default:
				latest = n.layer(out)
				x.rowUnits, x.colUnit = latest, from
			}
			owner[base] = latest
		}
		x.v = make([]float64, x.rows*x.cols*x.block)
		for i := range x.v {
			x.v[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[int(t.Offset)+4*i:])))
		}
		n.tensors = append(n.tensors, x)
	}
	for i := range n.tensors {
		x := &n.tensors[i]
		base, _, _ := strings.Cut(x.name, ".")
		if u := owner[base]; x.cols == 1 && x.block == 1 && u > 0 && n.units[u] == x.rows {
			x.rowUnits = u
		}
	}
	return n
}

// update is a network in two versions.
type update struct {
	old, now []byte
	pairs    []align.Pair
	truth    [][2][]int // old unit of each new row and column
}

// reorder makes an update in which all hidden units are shuffled, and every number
// is moved by noise times its tensor's root mean square.
func (n *network) reorder(rnd *rand.Rand, class codec.Class, noise float64) *update {
	perms := make([][]int, len(n.units))
	for i, units := range n.units {
		perms[i] = rnd.Perm(units)
	}
	return n.update(rnd, class, noise, perms)
}

// update makes an update with the layers re-ordered by perms, nil ones not.
func (n *network) update(rnd *rand.Rand, class codec.Class, noise float64, perms [][]int) *update {
	u := new(update)
	for _, t := range n.tensors {
		r, c := inOrder(t.rows), inOrder(t.cols)
		if t.rowUnits > 0 && perms[t.rowUnits] != nil {
			r = perms[t.rowUnits]
		}
		if t.colUnit > 0 && perms[t.colUnit] != nil {
			c = perms[t.colUnit]
		}
		u.truth = append(u.truth, [2][]int{r, c})
		rms, top := 0.0, 0.0
		for _, v := range t.v {
			rms += v * v
			top = max(top, math.Abs(v))
		}
		rms = math.Sqrt(rms / float64(len(t.v)))
		scale := 1.0
		switch class {
		case codec.Int8:
			scale = 127 / max(top, 1e-9)
		case codec.I16:
			scale = 4000 / max(top, 1e-9)
		}
		offset := int64(len(u.old))
		for i := range t.rows {
			for j := range t.cols {
				for k := range t.block {
					u.old = appendNumber(u.old, t.v[(i*t.cols+j)*t.block+k]*scale, class)
					moved := t.v[(r[i]*t.cols+c[j])*t.block+k]
					if noise > 0 {
						moved += noise * rms * rnd.NormFloat64()
					}
					u.now = appendNumber(u.now, moved*scale, class)
				}
			}
		}
		u.pairs = append(u.pairs, align.Pair{
			Old: align.Matrix{Offset: offset, Class: class, Rows: t.rows, Cols: t.cols, Block: t.block},
			New: align.Matrix{Offset: offset, Class: class, Rows: t.rows, Cols: t.cols, Block: t.block},
		})
	}
	return u.again()
}

// again lets the pairs read old and now, which a test may have changed.
func (u *update) again() *update {
	old, now := bytes.NewReader(u.old), bytes.NewReader(u.now)
	for i := range u.pairs {
		u.pairs[i].Old.R, u.pairs[i].New.R = old, now
	}
	return u
}

func inOrder(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	return p
}

func appendNumber(to []byte, v float64, c codec.Class) []byte {
	switch c {
	case codec.F32:
		return binary.LittleEndian.AppendUint32(to, math.Float32bits(float32(v)))
	case codec.F64:
		return binary.LittleEndian.AppendUint64(to, math.Float64bits(v))
	case codec.BF16:
		return binary.LittleEndian.AppendUint16(to, uint16((math.Float32bits(float32(v))+0x8000)>>16))
	case codec.F16:
		return binary.LittleEndian.AppendUint16(to, toHalf(v))
	case codec.I16:
		return binary.LittleEndian.AppendUint16(to, uint16(int16(math.Round(v))))
	}
	return append(to, byte(int8(min(127, max(-127, math.Round(v))))))
}

// toHalf rounds to a binary16, small numbers to zero.
func toHalf(v float64) uint16 {
	f := math.Float32bits(float32(v)) + 0x1000
	sign, exp := uint16(f>>16&0x8000), int(f>>23&255)-112
	if exp <= 0 {
		return sign
	}
	return sign | uint16(min(exp, 30))<<10 | uint16(f>>13&1023)
}

// recovered returns the part of numbers whose basis is that which they were
// made from, or equal to it, by tensor and of all.
func (u *update) recovered(tb testing.TB, perms [][]uint32, aligned []align.Aligned) (each []float64, all float64) {
	tb.Helper()
	if len(aligned) != len(u.pairs) {
		tb.Fatalf("%d pairs gave %d results", len(u.pairs), len(aligned))
	}
	checkPerms(tb, u.pairs, perms, aligned)
	right, total := 0, 0
	for p, a := range aligned {
		m := u.pairs[p].Old
		in := func(perm, i int) int {
			if perm < 0 {
				return i
			}
			return int(perms[perm][i])
		}
		w := m.Block * m.Class.Width()
		element := func(i, j int) []byte {
			return u.old[int(m.Offset)+(i*m.Cols+j)*w:][:w]
		}
		good := 0
		for i := range m.Rows {
			for j := range m.Cols {
				if bytes.Equal(element(in(a.Row, i), in(a.Col, j)), element(u.truth[p][0][i], u.truth[p][1][j])) {
					good++
				}
			}
		}
		each = append(each, float64(good)/float64(m.Rows*m.Cols))
		right += good * m.Block
		total += m.Rows * m.Cols * m.Block
	}
	return each, float64(right) / float64(total)
}

// checkPerms fails the test if the result is not what Permutations promises.
func checkPerms(tb testing.TB, pairs []align.Pair, perms [][]uint32, aligned []align.Aligned) {
	tb.Helper()
	used := make([]bool, len(perms))
	for p, a := range aligned {
		for _, x := range []struct{ perm, units int }{{a.Row, pairs[p].Old.Rows}, {a.Col, pairs[p].Old.Cols}} {
			if x.perm < -1 || x.perm >= len(perms) {
				tb.Fatalf("pair %d names permutation %d of %d", p, x.perm, len(perms))
			}
			if x.perm >= 0 {
				used[x.perm] = true
				if len(perms[x.perm]) != x.units {
					tb.Fatalf("pair %d: permutation of %d units for an axis of %d", p, len(perms[x.perm]), x.units)
				}
			}
		}
	}
	for i, p := range perms {
		if !used[i] {
			tb.Errorf("permutation %d is not in use", i)
		}
		sorted := slices.Sorted(slices.Values(p))
		for k, v := range sorted {
			if int(v) != k {
				tb.Fatalf("permutation %d is no bijection", i)
			}
		}
		for k := range i {
			if slices.Equal(perms[k], p) {
				tb.Errorf("permutations %d and %d are the same", k, i)
			}
		}
	}
}

// worst returns the indices of the tensors of which most is lost.
func worst(each []float64, n int) []int {
	order := inOrder(len(each))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(each[b], each[a]) })
	return order[:min(n, len(order))]
}

// wasted returns how much of what permutations could save is lost: 0 if the basis
// is as near to the new numbers as that which they were made from, 1 if it is
// no nearer than the old tensors in place.
func (u *update) wasted(perms [][]uint32, aligned []align.Aligned) (each []float64, all float64) {
	var lost, could float64
	for p, a := range aligned {
		m := u.pairs[p].Old
		w := m.Class.Width()
		var sum [3]float64 // in place, by truth, by the result
		for i := range m.Rows {
			for j := range m.Cols {
				from := [3][2]int{{i, j}, {u.truth[p][0][i], u.truth[p][1][j]}, {i, j}}
				if a.Row >= 0 {
					from[2][0] = int(perms[a.Row][i])
				}
				if a.Col >= 0 {
					from[2][1] = int(perms[a.Col][j])
				}
				for k := range m.Block {
					now := u.now[int(m.Offset)+((i*m.Cols+j)*m.Block+k)*w:][:w]
					for b, f := range from {
						sum[b] += bitsApart(u.old[int(m.Offset)+((f[0]*m.Cols+f[1])*m.Block+k)*w:][:w], now, m.Class)
					}
				}
			}
		}
		l, c := sum[2]-sum[1], max(1, sum[0]-sum[1])
		each = append(each, l/c)
		lost, could = lost+l, could+c
	}
	return each, lost / could
}

// bitsApart is what a difference of numbers costs, roughly.
func bitsApart(a, b []byte, c codec.Class) float64 {
	in := func(d []byte) float64 {
		v, top := uint64(0), uint64(1)<<(8*len(d)-1)
		for i, x := range d {
			v |= uint64(x) << (8 * i)
		}
		switch {
		case v < top:
			return float64(v)
		case c == codec.Int8 || c == codec.I16:
			return float64(v) - 2*float64(top)
		}
		return -float64(v - top)
	}
	return math.Log2(1 + math.Abs(in(a)-in(b)))
}
