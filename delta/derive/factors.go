package derive

import (
	"fmt"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// MaxRank is the highest rank of factors that are coded.
const MaxRank = 256

// maxFactorElements bounds Rank·(Rows+Cols).
const maxFactorElements = 4 << 20

// Order says in which order and precision a row is computed, so that every
// machine gets the same bits, and those that the publisher's tool got.
type Order uint8

// The orders. Sums run over the rank upwards; every product and sum is rounded
// where it says float32. Of 16-bit classes the last step rounds to float32 and
// then to the class.
const (
	// Float64 is round(old + Scale·ΣU·V), all in float64.
	Float64 Order = iota
	// Float32 rounds each product and each sum: old + Scale·Σ.
	Float32
	// Fused rounds each sum of Σ once, as fused multiply-add does (but for
	// double rounding in 1 of 2^29 cases): old + Scale·Σ.
	Fused
	// ScaledFloat32 is Float32 with Scale·U in the place of U.
	ScaledFloat32
	// ScaledFused is Fused with Scale·U in the place of U.
	ScaledFused
	// Narrowed is Fused, with Scale·Σ rounded to the class before it is added.
	Narrowed
	orders
)

// Factors are a low-rank update: U is Rows x Rank, V Rank x Cols, row by row.
// They are float64 because the factors that are found are integers of up to 32
// bits, more than a float32 holds; numbers of an adapter are float32. Cols counts elements of a row (Matrix.Cols·Block). The update is
// Scale·U·V, computed in Order. A value is not changed by its methods and may
// be shared.
type Factors struct {
	Rank, Rows, Cols int
	U, V             []float64
	Scale            float32
	Order            Order
}

// Validate says whether the lengths fit and the binary form can hold all
// numbers: for each column of U and row of V, float32 numbers or integers of up
// to 47 bits and a sign times a power of two. Orders but Float64 need float32.
// It wraps [ErrFactors].
func (f *Factors) Validate() error {
	switch {
	case f.Rank < 1 || f.Rank > MaxRank || f.Rows < 1 || f.Cols < 1 || f.Order >= orders ||
		f.Rows > maxFactorElements || f.Cols > maxFactorElements || f.Rank*(f.Rows+f.Cols) > maxFactorElements:
		return fmt.Errorf("factors of rank %d for %d x %d, order %d: %w", f.Rank, f.Rows, f.Cols, f.Order, ErrFactors)
	case len(f.U) != f.Rows*f.Rank || len(f.V) != f.Rank*f.Cols:
		return fmt.Errorf("factors have %d and %d numbers for %d x %d x %d: %w", len(f.U), len(f.V), f.Rows, f.Rank, f.Cols, ErrFactors)
	case !finite(float64(f.Scale)):
		return fmt.Errorf("scale of factors is not finite: %w", ErrFactors)
	}
	all := f.components()
	for k := range all {
		c := &all[k]
		c.measure()
		if c.width < 0 || (c.width == rawWidth || f.Order != Float64) && !c.float32() {
			return fmt.Errorf("component %d of factors has numbers that are not coded: %w", k, ErrFactors)
		}
	}
	return nil
}

// tile is how many elements are computed at once, on the stack.
const tile = 256

// AddRow writes the basis of row i, old row i plus the update, to basis. Both
// hold Cols elements of a class F32, F16 or BF16 and may be the same slice; i
// is in 0..Rows-1. A NaN or an infinity of old stays as it is. The bits are the
// same on every architecture; nothing is allocated.
func (f *Factors) AddRow(i int, class codec.Class, old, basis []byte) {
	f.AddRowRest(i, class, old, basis, nil)
}

// AddRowRest is AddRow and writes to rest, unless it is nil, what rounding took
// from each element: 1/256 of a unit in the last place, positive if the exact
// sum is above the basis in the order of numbers, -128..127. Where it is near
// an end, and hardly elsewhere, the new weight may be the next number on that
// side: a coder that uses it as a context needs a third of the bits.
func (f *Factors) AddRowRest(i int, class codec.Class, old, basis []byte, rest []int8) {
	u := f.U[i*f.Rank : (i+1)*f.Rank]
	var sums [tile]float64
	for from := 0; from < f.Cols; from += tile {
		part := sums[:min(tile, f.Cols-from)]
		f.update(u, from, part)
		for j, d := range part {
			was := bits32(class, old, from+j)
			w := math.Float32frombits(was)
			if !finite(float64(w)) {
				copy(basis[(from+j)*class.Width():][:class.Width()], old[(from+j)*class.Width():])
				part[j] = 0
				continue
			}
			if f.Order == Narrowed {
				d = narrow(class, d)
			}
			sum := float64(w) + d
			put32(class, basis, from+j, math.Float32bits(float32(sum)))
			part[j] = sum
		}
		if rest != nil {
			removed(class, part, rest[from:])
		}
	}
}

// removed writes what rounding to the class takes from each number, see
// AddRowRest; 0 for numbers under the class's normal ones.
func removed(class codec.Class, exact []float64, rest []int8) {
	least, mantissa := precision(class)
	shift := 52 - mantissa - 8
	for j, x := range exact {
		b := math.Float64bits(x)
		if int(b>>52&0x7ff)-1023 < least {
			rest[j] = 0
			continue
		}
		// The dropped bits, as a signed part of a unit: from a half they were
		// rounded up, for half of the exact halves wrongly said. The order of
		// negative numbers is reversed.
		rest[j] = int8(b>>shift) ^ int8(int64(b)>>63)
	}
}

// narrow rounds d to float32 and then to the class.
func narrow(class codec.Class, d float64) float64 {
	b := math.Float32bits(float32(d))
	switch class {
	case codec.F16:
		return float64(widenF16(narrowF16(b)))
	case codec.BF16:
		return float64(math.Float32frombits(uint32(narrowBF16(b)) << 16))
	}
	return float64(math.Float32frombits(b))
}

// update sets sums to what is added to elements from, from+1 … of the row of U.
func (f *Factors) update(u []float64, from int, sums []float64) {
	clear(sums)
	scale, after := f.Scale, float64(f.Scale)
	switch f.Order {
	case Float64:
		f.sumFloat64(u, from, sums)
		if scale == 1 {
			return
		}
		for j := range sums {
			sums[j] = float64(sums[j] * after)
		}
		return
	case ScaledFloat32, ScaledFused:
		after = 1
	default:
		scale = 1
	}
	for k, x := range u {
		x = float64(float32(x * float64(scale)))
		v := f.V[k*f.Cols+from:][:len(sums)]
		if f.Order == Float32 || f.Order == ScaledFloat32 {
			for j, y := range v {
				sums[j] = float64(float32(sums[j] + float64(float32(x*y))))
			}
			continue
		}
		for j, y := range v {
			sums[j] = float64(float32(sums[j] + float64(x*y)))
		}
	}
	for j := range sums {
		sums[j] = float64(float32(float64(sums[j] * after)))
	}
}

// sumFloat64 adds ΣU·V to sums, four terms at a time, upwards.
func (f *Factors) sumFloat64(u []float64, from int, sums []float64) {
	k := 0
	for ; k+4 <= len(u); k += 4 {
		a, b, c, d := u[k], u[k+1], u[k+2], u[k+3]
		va := f.V[k*f.Cols+from:][:len(sums)]
		vb := f.V[(k+1)*f.Cols+from:][:len(sums)]
		vc := f.V[(k+2)*f.Cols+from:][:len(sums)]
		vd := f.V[(k+3)*f.Cols+from:][:len(sums)]
		for j, s := range sums {
			s += float64(a * va[j])
			s += float64(b * vb[j])
			s += float64(c * vc[j])
			s += float64(d * vd[j])
			sums[j] = s
		}
	}
	for ; k < len(u); k++ {
		a := u[k]
		for j, y := range f.V[k*f.Cols+from:][:len(sums)] {
			sums[j] += float64(a * y)
		}
	}
}
