package delta

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/align"
	"github.com/dunlin-mesh/dunlin/delta/derive"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// ErrAdapter says that the adapter is malformed, or no adapter: correct it, or
// make the delta without it.
var ErrAdapter = errors.New("malformed adapter")

// adapter is a file of low-rank factors that its publisher merged into the new
// file. Nothing of it is believed: factors are taken where they pay.
type adapter struct {
	pairs []adapterPair             // by name
	ends  map[string][]*adapterPair // by the last word of the name
}

// adapterPair is the factors of one weight: it changed by a scale times b·a.
type adapterPair struct {
	words []string     // of the name of the weight, or of the module that has it
	a, b  align.Matrix // rank by inputs, outputs by rank
}

// adapterEndings are what names of factors end in, but for ".weight": of PEFT's
// linear and convolutional layers, of its embeddings, and of kohya's scripts.
var adapterEndings = [...][2]string{
	{".lora_A", ".lora_B"},
	{".lora_embedding_A", ".lora_embedding_B"},
	{".lora_down", ".lora_up"},
}

// openAdapter reads the names of a safetensors file and checks all of its
// numbers. What is not a factor is left alone: adapters may hold whole layers
// beside, or magnitudes.
func openAdapter(ctx context.Context, v *Version) (*adapter, error) {
	if v == nil {
		return nil, nil
	}
	l, err := chunker.Layout(ctx, v.R, v.Size, v.Name, chunker.Options{Structure: true})
	if errors.Is(err, chunker.ErrMalformed) {
		return nil, fmt.Errorf("%w: %w", ErrAdapter, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read adapter: %w", err)
	}
	if l.Format != "safetensors" {
		return nil, fmt.Errorf("%w: %.80q is no safetensors file", ErrAdapter, v.Name)
	}
	type halves struct{ a, b *manifest.Tensor }
	found := map[string]*halves{}
	var names []string
	for i := range l.Tensors {
		t := &l.Tensors[i]
		name, side := factorOf(t.Name)
		if name == "" {
			continue
		}
		h := found[name]
		if h == nil {
			h = &halves{}
			found[name] = h
			names = append(names, name)
		}
		half := &h.a
		if side == 1 {
			half = &h.b
		}
		if *half != nil {
			return nil, fmt.Errorf("%w: two factors of %.80q are on one side", ErrAdapter, name)
		}
		*half = t
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: %.80q holds no pair named .lora_A and .lora_B", ErrAdapter, v.Name)
	}
	slices.Sort(names)
	ad := &adapter{ends: map[string][]*adapterPair{}}
	for _, name := range names {
		h := found[name]
		if h.a == nil || h.b == nil {
			return nil, fmt.Errorf("%w: %.80q has one factor of two", ErrAdapter, name)
		}
		p := adapterPair{words: words(name[:strings.IndexByte(name, 0)])}
		for _, half := range []struct {
			m *align.Matrix
			t *manifest.Tensor
		}{{&p.a, h.a}, {&p.b, h.b}} {
			if *half.m, err = factorMatrix(ctx, v, half.t); err != nil {
				return nil, err
			}
		}
		if p.a.Rows != p.b.Cols {
			return nil, fmt.Errorf("%w: factors of %.80q have ranks %d and %d", ErrAdapter, name, p.a.Rows, p.b.Cols)
		}
		ad.pairs = append(ad.pairs, p)
	}
	for i := range ad.pairs {
		if p := &ad.pairs[i]; len(p.words) > 0 {
			end := p.words[len(p.words)-1]
			ad.ends[end] = append(ad.ends[end], p)
		}
	}
	return ad, nil
}

// factorOf returns the name of the weight or module that a tensor is a factor
// for, followed by a zero byte and what tells several pairs for one from each
// other, and the side: 0 for A, 1 for B. The name is empty if it is no factor.
func factorOf(name string) (base string, side int) {
	for _, endings := range adapterEndings {
		for side, ending := range endings {
			i := strings.LastIndex(name, ending)
			if i <= 0 {
				continue
			}
			// PEFT has the adapter's name between, before it saves.
			rest := strings.TrimSuffix(name[i+len(ending):], ".weight")
			if rest == "" || rest[0] == '.' && !strings.Contains(rest[1:], ".") {
				return name[:i] + "\x00" + endings[0] + rest, side
			}
		}
	}
	return "", 0
}

// words cuts a name at everything that writers of names join words by.
func words(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("._/:-", r) })
}

// factorMatrix returns a tensor as a matrix of its first side by all others,
// once it is known to hold finite numbers.
func factorMatrix(ctx context.Context, v *Version, t *manifest.Tensor) (m align.Matrix, err error) {
	m = align.Matrix{R: v.R, Offset: int64(t.Offset), Class: codec.ClassOf(t.DType), Block: 1}
	n := elements(t.Shape)
	if len(t.Shape) < 2 || n == 0 || m.Class != codec.F32 && m.Class != codec.F16 && m.Class != codec.BF16 {
		return m, fmt.Errorf("%w: factor %.80q is no matrix of f32, f16 or bf16", ErrAdapter, t.Name)
	}
	m.Rows = int(t.Shape[0])
	m.Cols = int(n / t.Shape[0])
	buf := make([]byte, min(int64(t.Length), 256<<10))
	for at := int64(0); at < int64(t.Length); {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		part := buf[:min(int64(len(buf)), int64(t.Length)-at)]
		if err := readFull(v.R, part, m.Offset+at); err != nil {
			return m, fmt.Errorf("read adapter: %w", err)
		}
		if !finite(part, m.Class) {
			return m, fmt.Errorf("%w: factor %.80q holds what is no number", ErrAdapter, t.Name)
		}
		at += int64(len(part))
	}
	return m, nil
}

// finite says whether no element is infinite or NaN.
func finite(p []byte, class codec.Class) bool {
	if class == codec.F32 {
		for ; len(p) >= 4; p = p[4:] {
			if binary.LittleEndian.Uint32(p)>>23&0xff == 0xff {
				return false
			}
		}
		return true
	}
	exponent := uint16(0x7c00)
	if class == codec.BF16 {
		exponent = 0x7f80
	}
	for ; len(p) >= 2; p = p[2:] {
		if binary.LittleEndian.Uint16(p)&exponent == exponent {
			return false
		}
	}
	return true
}

const (
	// maxTries bounds the pairs that are tried for one tensor.
	maxTries = 4
	// maxAdapterNumbers bounds the numbers of a pair: more make no table.
	maxAdapterNumbers = maxTableBytes / 4
)

func (p *adapterPair) fits(rows, cols int) bool {
	return p.b.Rows == rows && p.a.Cols == cols && p.a.Rows*(rows+cols) <= maxAdapterNumbers
}

// match returns the pairs that may be of a tensor of so many rows and columns,
// by its name: those of whose names most words, from the last one backwards,
// stand in it one after the other; among equals first those that end nearest to
// its end, then those with fewest words besides.
func (ad *adapter) match(name string, rows, cols int) []*adapterPair {
	type candidate struct {
		p                      *adapterPair
		common, behind, before int
	}
	var all []candidate
	in := words(name)
	for end := len(in); end > 0; end-- {
		for _, p := range ad.ends[in[end-1]] {
			if !p.fits(rows, cols) && !p.fits(cols, rows) {
				continue
			}
			n := 1
			for n < min(end, len(p.words)) && p.words[len(p.words)-1-n] == in[end-1-n] {
				n++
			}
			all = append(all, candidate{p, n, len(in) - end, len(p.words) - n})
		}
	}
	slices.SortStableFunc(all, func(x, y candidate) int {
		if x.common != y.common {
			return y.common - x.common
		}
		if x.behind != y.behind {
			return x.behind - y.behind
		}
		return x.before - y.before
	})
	var pairs []*adapterPair
	for _, c := range all {
		if len(pairs) == maxTries {
			break
		}
		if !slices.Contains(pairs, c.p) {
			pairs = append(pairs, c.p)
		}
	}
	return pairs
}

// minShare is how much of a difference factors must explain, or they are of
// another tensor.
const minShare = 0.01

// factors returns the factors of the adapter that leave least of the difference
// of two matrices, and !ok if none are of it.
func (ad *adapter) factors(ctx context.Context, name string, old, next align.Matrix) (best derive.Factors, ok bool, err error) {
	cols := next.Cols * next.Block
	least := math.Inf(1)
	for _, p := range ad.match(name, next.Rows, cols) {
		f, err := derive.FactorsFrom(ctx, p.b, p.a, 1)
		if errors.Is(err, derive.ErrFactors) || errors.Is(err, derive.ErrShape) {
			continue // larger than what is coded
		}
		if err != nil {
			return best, false, fmt.Errorf("read adapter: %w", err)
		}
		var sides []derive.Factors
		if f.Rows == next.Rows && f.Cols == cols {
			sides = append(sides, f)
		}
		if f.Cols == next.Rows && f.Rows == cols { // inputs by outputs
			sides = append(sides, f.Transposed())
		}
		for _, f := range sides {
			scales, share, err := f.Scales(ctx, old, next)
			if err != nil {
				return best, false, err
			}
			if share < minShare {
				continue
			}
			for _, f.Scale = range scales {
				g, bits, err := f.BestOrder(ctx, old, next)
				if err != nil {
					return best, false, err
				}
				if bits < least {
					best, least = g, bits
				}
			}
		}
	}
	return best, !math.IsInf(least, 1), nil
}

// factors returns the low-rank update of region i that makes it smallest, found
// or of the adapter, and !ok if neither pays.
func (p *planner) factors(ctx context.Context, i int, old, next align.Matrix) (derive.Factors, bool, error) {
	found, ok, err := derive.LowRank(ctx, old, next, maxRank)
	if err != nil || p.adapter == nil || next.Class.Width() > 4 {
		return found, ok, err
	}
	given, there, err := p.adapter.factors(ctx, p.news[i].name, old, next)
	if err != nil || !there {
		return found, ok, err
	}
	if !ok { // then it is nothing that has to be beaten
		found = derive.Factors{
			Rank: 1, Rows: given.Rows, Cols: given.Cols, Scale: 1,
			U: make([]float64, given.Rows), V: make([]float64, given.Cols),
		}
	}
	var bits [2]float64
	for k, f := range []*derive.Factors{&found, &given} {
		if bits[k], err = f.ResidualBits(ctx, old, next); err != nil {
			return found, false, err
		}
		if k == 0 && !ok {
			continue
		}
		form, err := (&table{factors: f}).marshal(&p.tables.coder)
		if err != nil {
			return found, false, err
		}
		if bits[k] += 8 * float64(len(form)); len(form) > maxTableBytes {
			bits[k] = math.Inf(1)
		}
	}
	if bits[1] < bits[0] {
		return given, true, nil
	}
	return found, ok, nil
}
