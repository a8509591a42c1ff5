package derive

import (
	"context"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// findGrid finds the grid of new's integers, first in a sample.
func (c *Conversion) findGrid(ctx context.Context, old, next *Matrix) (bool, error) {
	c.Kind = Quantize
	n := min(c.width(), max(sampleElements, c.Block))
	n -= n % c.Block
	step := spread(c.Rows, sampleRows)
	h, err := c.histogram(ctx, old, next, step, n)
	if err != nil {
		return false, err
	}
	unsigned := h.unsigned()
	best, found, err := c.tryGrid(ctx, old, next, h, unsigned, step, n)
	if err == nil && !found && h.bytes {
		unsigned = !unsigned
		best, found, err = c.tryGrid(ctx, old, next, h, unsigned, step, n)
	}
	if err != nil || !found {
		return false, err
	}
	guess := h.unsigned()
	if h, err = c.histogram(ctx, old, next, 1, c.width()); err != nil {
		return false, err
	}
	if h.unsigned() != guess && unsigned == guess { // the sample misled
		unsigned = !unsigned
		if best, found, err = c.tryGrid(ctx, old, next, h, unsigned, step, n); err != nil || !found {
			return false, err
		}
	}
	low, high := h.limits(unsigned)
	if best.rule {
		ok, err := c.findRule(ctx, old, next, low, high, unsigned)
		if err != nil || ok {
			return ok, err
		}
	}
	pairs := c.pairs(ctx, old, next, unsigned, 1, c.width())
	f, err := fitGrid(best.axis, c.Block, best.axis.groups(c.Rows, c.Cols), best.zero, low, high, pairs)
	if err != nil {
		return false, err
	}
	c.grid = f.grid()
	if best.axis == whole {
		if err := c.findForm(f, pairs); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (c *Conversion) tryGrid(ctx context.Context, old, next *Matrix, h *histogram, unsigned bool, step, n int) (choice, bool, error) {
	s, err := c.sample(ctx, old, next, unsigned, step, n)
	if err != nil {
		return choice{}, false, err
	}
	low, high := h.limits(unsigned)
	best, ok := s.choose(c, unsigned, low, high)
	return best, ok, nil
}

// histogram is what integers there are: how often each if they are bytes, with
// sums with their weights as numbers with and without a sign; else the least and
// the greatest.
type histogram struct {
	bytes     bool
	counts    [256]int
	sums      [2]sums
	low, high int32
}

func (c *Conversion) histogram(ctx context.Context, old, next *Matrix, step, n int) (*histogram, error) {
	h := &histogram{bytes: c.To == codec.Int8, low: math.MaxInt32, high: math.MinInt32}
	err := c.pairs(ctx, old, next, false, step, n)(func(_ int, w []float64, q []int32) {
		for j, x := range q {
			h.low, h.high = min(h.low, x), max(h.high, x)
			if h.bytes {
				h.counts[byte(x)]++
				h.sums[0].add(w[j], float64(x))
				h.sums[1].add(w[j], float64(byte(x)))
			}
		}
	})
	return h, err
}

// unsigned says whether the bytes follow the weights better if they have no
// sign.
func (h *histogram) unsigned() bool {
	return h.bytes && h.sums[1].correlation() > h.sums[0].correlation()
}

// correlation returns the square of the correlation coefficient, negative if
// that is.
func (s *sums) correlation() float64 {
	both := float64(s.n*s.wq) - float64(s.w*s.q)
	r := both * math.Abs(both) / (float64(s.n*s.ww) - float64(s.w*s.w)) / (float64(s.n*s.qq) - float64(s.q*s.q))
	if !finite(r) {
		return 0
	}
	return r
}

// limits returns the least and the greatest integer.
func (h *histogram) limits(unsigned bool) (low, high int32) {
	if !h.bytes {
		return h.low, h.high
	}
	low, high = math.MaxInt32, math.MinInt32
	for b, n := range h.counts {
		x := int32(b)
		if !unsigned {
			x = int32(int8(b))
		}
		if n > 0 {
			low, high = min(low, x), max(high, x)
		}
	}
	return low, high
}

// pairs reads rows 0, step … and their first n elements.
func (c *Conversion) pairs(ctx context.Context, old, next *Matrix, unsigned bool, step, n int) rows {
	w, q := make([]float64, n), make([]int32, n)
	return func(visit func(i int, w []float64, q []int32)) error {
		return eachRow(ctx, old, next, step, 0, n, func(i int, a, b []byte) error {
			loadFloats(c.From, a, w)
			loadIntegers(c.To, unsigned, b, q)
			for j, x := range w {
				if !finite(x) {
					w[j] = 0
				}
			}
			visit(i, w, q)
			return nil
		})
	}
}

// sample is some rows in memory.
type sample struct {
	w [][]float64
	q [][]int32
}

func (c *Conversion) sample(ctx context.Context, old, next *Matrix, unsigned bool, step, n int) (*sample, error) {
	s := &sample{}
	err := c.pairs(ctx, old, next, unsigned, step, n)(func(_ int, w []float64, q []int32) {
		s.w = append(s.w, append([]float64(nil), w...))
		s.q = append(s.q, append([]int32(nil), q...))
	})
	return s, err
}

func (s *sample) each(visit func(i int, w []float64, q []int32)) error {
	for i := range s.w {
		visit(i, s.w[i], s.q[i])
	}
	return nil
}

// choice is a kind of grid and what it costs, in bits an element.
type choice struct {
	axis axis
	zero zeroMode
	cost float64
	rule bool // rows have their own factors, whatever these cost
}

// factorBits is what a factor is taken to cost, zeroBits a zero point.
const (
	factorBits = 20
	zeroBits   = 4
)

// choose finds the cheapest kind of grid for the sample; false if none takes
// under 3/4 of the bits that the integers take by themselves.
func (s *sample) choose(c *Conversion, unsigned bool, low, high int32) (choice, bool) {
	modes := []zeroMode{{}, {each: true}}
	if unsigned {
		modes = append(modes, zeroMode{fixed: 128})
	}
	best, plain := choice{cost: math.Inf(1)}, s.plain()
	inAll, inRows := math.Inf(1), math.Inf(1)
	elements := float64(c.Rows) * float64(c.width())
	for _, a := range []axis{whole, byRow, byColumn} {
		for _, zero := range modes {
			f, err := fitGrid(a, c.Block, a.groups(len(s.w), len(s.w[0])/c.Block), zero, low, high, s.each)
			if err != nil {
				return best, false
			}
			cost := s.cost(f)
			switch a {
			case whole:
				inAll = min(inAll, cost)
			case byRow:
				inRows = min(inRows, cost)
			}
			groups := float64(a.groups(c.Rows, c.Cols))
			cost += factorBits * groups / elements
			if zero.each && a != whole {
				cost += zeroBits * groups / elements
			}
			if cost < best.cost {
				best = choice{axis: a, zero: zero, cost: cost}
			}
		}
	}
	best.rule = inRows < 0.9*inAll && inRows < 0.75*plain
	return best, best.rule || best.cost < 0.75*plain
}

// cost returns the bits an element of what a fit leaves.
func (s *sample) cost(f *fit) float64 {
	total, n := 0.0, 0
	g := grid{low: f.low, high: f.high}
	for i := range s.w {
		for j, w := range s.w[i] {
			group := f.of(i, j)
			q, _ := g.round(float64(w*group.k), int(group.zero))
			if q != s.q[i][j] {
				total += 2 + length(float64(q)-float64(s.q[i][j]))
			}
		}
		n += len(s.w[i])
	}
	return total / float64(n)
}

// plain returns the bits an element of the integers by themselves: of their
// distance from the mean.
func (s *sample) plain() float64 {
	mean, n := 0.0, 0.0
	for i := range s.q {
		for _, q := range s.q[i] {
			mean += float64(q)
			n++
		}
	}
	mean = math.Round(mean / n)
	total := 0.0
	for i := range s.q {
		for _, q := range s.q[i] {
			total += length(float64(q) - mean)
		}
	}
	return total / n
}

// grid turns a fit into what a conversion needs.
func (f *fit) grid() grid {
	g := grid{axis: f.axis, low: f.low, high: f.high, factors: make([]float64, len(f.groups))}
	zeros := make([]int32, len(f.groups))
	varies := false
	for i := range f.groups {
		g.factors[i], zeros[i] = f.groups[i].k, int32(f.groups[i].zero)
		varies = varies || zeros[i] != zeros[0]
	}
	switch {
	case varies:
		g.zeros = zeros
	case zeros[0] != 0:
		g.zeros = zeros[:1]
	}
	return g
}

// findForm tries, where no k is right for all of a tensor but some nearly are,
// the float32 factors around it in the arithmetic of float32, on the numbers
// that come near a half.
func (c *Conversion) findForm(f *fit, pairs rows) error {
	group := &f.groups[0]
	if group.k == 0 || group.limits[1].least <= group.limits[1].most ||
		group.limits[1].least-group.limits[1].most > nearlyExact*group.limits[1].least {
		return nil
	}
	const around = 12 // units in the last place to each side
	candidates := make([]grid, 0, int(forms)*(2*around+1)*2)
	for form := product32; form <= quotient; form++ {
		k := group.k
		if form == quotient {
			k = 1 / k
		}
		middle := math.Float32bits(float32(k))
		for unit := middle - around; unit <= middle+around; unit++ {
			g := c.grid
			g.form, g.factors = form, []float64{float64(math.Float32frombits(unit))}
			candidates = append(candidates, g)
			g.away = true
			candidates = append(candidates, g)
		}
	}
	candidates = append(candidates, c.grid)
	misses := make([]int, len(candidates))
	zero := int(group.zero)
	err := pairs(func(_ int, w []float64, q []int32) {
		for j, x := range w {
			y := float64(x * group.k)
			if math.Abs(math.Abs(y-math.Trunc(y))-0.5) > 1e-3+math.Abs(y)*1e-5 {
				continue
			}
			for i := range candidates {
				g := &candidates[i]
				if r, _ := g.round(g.form.apply(x, g.factors[0]), zero); r != q[j] {
					misses[i]++
				}
			}
		}
	})
	best := len(candidates) - 1
	for i, n := range misses {
		if n < misses[best] {
			best = i
		}
	}
	c.grid = candidates[best]
	return err
}
