package derive

import (
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// Each pair of an old weight w and its integer q allows the factors k with
// q - ½ <= w·k + z <= q + ½. The intersection over a group is an interval so
// narrow that any k of it predicts the whole group: the scale tensor need not
// be known, and the shortest number of the interval is stored.

// rows gives rows of pairs, the same each time it is called. An integer of a
// weight that is not finite comes with the weight 0.
type rows func(visit func(i int, w []float64, q []int32)) error

// zeroMode says where zero points come from.
type zeroMode struct {
	each  bool  // a zero point for each group, by regression
	fixed int32 // else this one
}

// fit is what is known of a grid's groups. Sums are of all pairs and of those
// that cannot have been clamped; limits leave out pairs that contradict the
// regression by more than two and a half steps.
type fit struct {
	axis      axis
	block     int
	zero      zeroMode
	low, high int32 // of q
	groups    []group
}

type group struct {
	all, inner sums
	limits     [3]interval // of k, for zero points one less, zero, one more
	k, zero    float64
}

// interval is the factors that pairs allow; none if least is above most.
type interval struct{ least, most float64 }

// sums are those of a regression.
type sums struct{ n, w, q, ww, wq, qq float64 }

func (s *sums) add(x, y float64) {
	s.n++
	s.w += x
	s.q += y
	s.ww += float64(x * x)
	s.wq += float64(x * y)
	s.qq += float64(y * y)
}

// fitGrid reads the pairs twice and returns each group's k and zero point;
// k is 0 for a group that has no weights but zeros. Integers are low..high.
func fitGrid(a axis, block, count int, zero zeroMode, low, high int32, pairs rows) (*fit, error) {
	f := &fit{axis: a, block: block, zero: zero, low: low, high: high, groups: make([]group, count)}
	if err := pairs(f.sum); err != nil {
		return nil, err
	}
	for i := range f.groups {
		f.groups[i].line(zero)
	}
	if err := pairs(f.limit); err != nil {
		return nil, err
	}
	for i := range f.groups {
		f.groups[i].choose(zero.each)
	}
	return f, nil
}

// of returns the group of element j of row i.
func (f *fit) of(i, j int) *group {
	switch f.axis {
	case byRow:
		return &f.groups[i]
	case byColumn:
		return &f.groups[j/f.block]
	}
	return &f.groups[0]
}

func (f *fit) sum(i int, w []float64, q []int32) {
	for j, x := range w {
		g, y := f.of(i, j), float64(q[j])
		g.all.add(x, y)
		if q[j] > f.low && q[j] < f.high {
			g.inner.add(x, y)
		}
	}
}

// line sets k and zero by least squares.
func (g *group) line(zero zeroMode) {
	for i := range g.limits {
		g.limits[i] = interval{0, math.Inf(1)}
	}
	s := &g.inner
	if s.n < max(4, g.all.n/8) {
		s = &g.all
	}
	if zero.each {
		g.k = (float64(s.n*s.wq) - float64(s.w*s.q)) / (float64(s.n*s.ww) - float64(s.w*s.w))
		g.zero = math.RoundToEven((s.q - float64(g.k*s.w)) / s.n)
	} else {
		g.zero = float64(zero.fixed)
		g.k = (s.wq - float64(g.zero*s.w)) / s.ww
	}
	if !finite(g.zero) || math.Abs(g.zero) > 1<<30 {
		g.zero = 0
	}
	if !finite(g.k) || g.k <= 0 {
		g.k = 0
	}
}

func (f *fit) limit(i int, w []float64, q []int32) {
	for j, x := range w {
		g := f.of(i, j)
		y := float64(q[j]) - g.zero
		low, high := q[j] == f.low, q[j] == f.high // may have been clamped
		if x == 0 || math.Abs(float64(g.k*x)-y) > 2.5 && !low && !high {
			continue
		}
		if x < 0 {
			x, y, low, high = -x, -y, high, low
		}
		if !f.zero.each {
			g.limits[1].meet(x, y, low, high)
			continue
		}
		side := 1.0
		if w[j] < 0 {
			side = -1
		}
		g.limits[0].meet(x, y+side, low, high)
		g.limits[1].meet(x, y, low, high)
		g.limits[2].meet(x, y-side, low, high)
	}
}

// meet leaves the factors k with y - ½ <= x·k <= y + ½, x positive; y may be
// the least or the greatest there is.
func (l *interval) meet(x, y float64, low, high bool) {
	if !low {
		l.least = max(l.least, (y-0.5)/x)
	}
	if !high {
		l.most = min(l.most, (y+0.5)/x)
	}
}

// nearlyExact is how far limits may overlap, relative to k, and still be taken
// for those of an exact k: what float32 arithmetic adds.
const nearlyExact = 1e-6

// choose sets zero, if each group has its own, to the one that leaves the widest interval for k, and k to
// the shortest number of that, or leaves those of the regression where pairs
// contradict each other.
func (g *group) choose(each bool) {
	if g.k == 0 {
		return
	}
	l := g.limits[1]
	if each {
		offset := 0
		for i, x := range g.limits {
			if x.most-x.least > l.most-l.least {
				l, offset = x, i-1
			}
		}
		g.zero += float64(offset)
	}
	switch {
	case l.most <= 0:
		g.k = 0
	case math.IsInf(l.most, 1):
		if l.least > 0 { // else nothing is known
			g.k = shortest(l.least, 2*l.least)
		}
	case l.least <= l.most:
		g.k = shortest(max(l.least, l.most/2), l.most)
	case l.least-l.most <= nearlyExact*l.least:
		g.k = float64(float32((l.least + l.most) / 2))
	default:
		g.k = float64(float32(g.k))
	}
	g.limits[1] = l
}

// shortest returns the number of the interval that ends in the most zero bits.
func shortest(least, most float64) float64 {
	margin := (most - least) / 64 // of rounding, and of what was left out
	a, b := math.Float64bits(least+margin), math.Float64bits(most-margin)
	if a > b {
		return least
	}
	for shift := 52; shift > 0; shift-- {
		mask := uint64(1)<<shift - 1
		if x := (a + mask) &^ mask; x <= b {
			return math.Float64frombits(x)
		}
	}
	return math.Float64frombits(a)
}

// loadIntegers fills q with the elements of a row of an integer class.
func loadIntegers(class codec.Class, unsigned bool, row []byte, q []int32) {
	for i := range q {
		q[i] = int32(ordered(class, row, i))
		if unsigned {
			q[i] &= 0xff
		}
	}
}
