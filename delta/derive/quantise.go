package derive

import (
	"context"
	"math"
)

// The factors of an update are noise to every coder, so each bit of them that
// is kept costs rank·(rows+cols) bits; each bit that is dropped makes more of
// the new weights miss their basis by a unit. The sum has a flat minimum, which
// is searched.
//
// Precision is shared out like this. In the basis of singular vectors the
// product of the components' spreads is least. An error of variance e² for each
// component costs least if the rows' steps and the columns' steps take of it
// shares as rows to cols. Steps of U are 1 (its scale is free), so U holds
// integers, and steps of V are powers of two.

// quantise returns the factors at the precision at which they and what remains
// are smallest, and whether they are worth their bytes.
func (m *model) quantise(ctx context.Context) (Factors, bool, error) {
	m.balance()
	step := spread(m.rows, 64)
	direct, err := m.directBits(ctx, step)
	if err != nil {
		return Factors{}, false, err
	}
	best, bits := Factors{}, math.Inf(1)
	for half := range 40 { // downhill from coarse to fine by half bits
		f := m.rounded(math.Exp2(-float64(half) / 2))
		if f.Validate() != nil {
			break
		}
		rest, err := f.residual(ctx, m.old, m.next, step)
		if err != nil {
			return Factors{}, false, err
		}
		total := rest + f.bits()
		if total < bits {
			best, bits = f, total
		} else if total > 1.05*bits {
			break
		}
	}
	return best, bits < 0.9*direct, nil
}

// directBits estimates the bits of the ordered differences of new and old.
func (m *model) directBits(ctx context.Context, step int) (float64, error) {
	var t tally
	err := eachRow(ctx, m.old, m.next, step, 0, m.cols, func(_ int, a, b []byte) error {
		t.row(m.class, b, a, nil)
		return nil
	})
	return t.scaled(m.rows, m.cols), err
}

// balance rotates the factors to the singular vectors of their product, of equal
// norm in u and v.
func (m *model) balance() {
	us, vs := separate(m.u, m.rank), separate(m.v, m.rank)
	ru, rv := orthonormalise(us), orthonormalise(vs)
	core := square(m.rank) // ru·rvᵀ
	for i := range core {
		for j := range core {
			core[i][j] = dot(ru[i], rv[j])
		}
	}
	left, s, right := svd(core)
	us, vs = combine(left, us), combine(right, vs)
	for k := range s {
		root := math.Sqrt(s[k])
		for i := range us[k] {
			us[k][i] *= root
		}
		for j := range vs[k] {
			vs[k][j] *= root
		}
	}
	m.u, m.v = interleave(us), interleave(vs)
}

// rounded returns the factors with an error of their product of about e units.
func (m *model) rounded(e float64) Factors {
	f := Factors{
		Rank: m.rank, Rows: m.rows, Cols: m.cols, Scale: 1,
		U: make([]float64, m.rows*m.rank), V: make([]float64, m.rank*m.cols),
	}
	e *= m.unit * math.Sqrt(12/float64(m.rank))
	share := float64(m.rows) / float64(m.rows+m.cols)
	for k := range m.rank {
		var uu, vv float64
		for i := range m.rows {
			x := m.u[i*m.rank+k]
			uu += float64(x * x)
		}
		for j := range m.cols {
			x := m.v[j*m.rank+k]
			vv += float64(x * x)
		}
		stepU := e * math.Sqrt(share/(vv/float64(m.cols)))
		stepV := e * math.Sqrt((1-share)/(uu/float64(m.rows)))
		if !(stepU > 0) || !(stepV > 0) {
			continue
		}
		stepV = math.Exp2(math.Round(math.Log2(stepV * stepU)))
		for i := range m.rows {
			f.U[i*m.rank+k] = toInteger(m.u[i*m.rank+k] / stepU)
		}
		for j := range m.cols {
			f.V[k*m.cols+j] = toInteger(m.v[j*m.rank+k]*stepU/stepV) * stepV
		}
	}
	return f
}

// toInteger rounds to an integer of at most 31 bits and a sign.
func toInteger(x float64) float64 {
	const most = 1<<31 - 1
	return max(-most, min(most, math.RoundToEven(x))) + 0 // -0 is no integer
}
