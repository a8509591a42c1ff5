package weights

import (
	"fmt"
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
)

const (
	span     = 64 // steps of a quarter of a bit that a threshold may lie off a forecast
	halfSpan = span / 2
	classes  = 64 // of magnitudes
	states   = 3  // of the search for a class: first step, going up, going down
	exps     = 64 // of a basis element that are told apart
	fraction = 8  // bits behind the point of an average
	reach    = 24 // exponents below the highest that averages can tell apart
)

// Forecasts of the magnitude, each from other neighbours.
const (
	byLast   = iota // the last few elements
	byRow           // the last few dozen
	byAbove         // the three elements of the row above
	byColumn        // the column so far
	byAll           // a blend of them
	forecasts
)

// Model codes arrays of one class, with or without basis. It keeps what it
// learned from one array to the next.
type Model struct {
	f     format
	based bool

	// slots
	near      [forecasts][]mix.Slot // [state][rel]
	pair      []mix.Slot            // [state][rel by last/4][rel by column/4]
	exp       []mix.Slot            // [state][exp][class]
	digit     []mix.Slot            // [state][pattern][class]
	lean      []mix.Slot            // [state][near0][class]
	guess     []mix.Slot            // [state][sure][rel]
	guessSign []mix.Slot            // [sure][negative][rel]
	guessTop  []mix.Slot            // [sure][distance of classes][upper bits][node]
	sign      [4][]mix.Slot
	top       [3][]mix.Slot
	low       []mix.Slot
	zero      [4][]mix.Slot
	lone      []mix.Slot
	plain     []mix.Slot // [node]
	class     *mix.Mixer8
	signs     *mix.Mixer4
	tops      *mix.Mixer4
	zeros     *mix.Mixer4
	count     []mix.Slot // [state][class][changed in this row][column]
	in        [8]int32
	at        [8]*mix.Slot

	// the array at hand
	p                             Params
	cols                          int
	col                           int
	last                          uint64 // averages
	row                           uint64
	above                         []uint64 // magnitudes of the row above; of this row up to col
	column                        []uint64
	signsUp                       []int8
	left                          [2]int64
	pruned, prunedRow, prunedLast bounds // of the array, this row, the row before
	changed                       int    // elements of this row that differ from their basis
	rest                          []int8 // of the elements to come
	hasRest                       bool
	ahead                         predictor
	sure                          int // of what is foretold
	negative                      bool
	outlook                       int
	near0                         int // of this element: how rounding leans, 0 if that is not known
	values                        []int64
	basis                         []int64
}

// NewModel returns a model for arrays of a class, with a basis or without.
func NewModel(class codec.Class, based bool) *Model {
	m := &Model{f: formatOf(class), based: based}
	slots := func(n int) []mix.Slot {
		s := make([]mix.Slot, n)
		mix.Fill(s)
		return s
	}
	for i := range m.near {
		m.near[i] = slots(states * span)
	}
	m.pair = slots(states * 16 * 16)
	m.exp = slots(states * exps * classes)
	m.digit = slots(states * 256 * classes)
	m.count = slots(states * classes * 128)
	m.lean = slots(states * 64 * classes)
	m.guess, m.guessSign, m.guessTop = slots(states*16*span), slots(16*2*16), slots(16*4*4*8)
	m.sign = [4][]mix.Slot{slots(27), slots(span*3 + 64), slots(exps * 4), slots(81)}
	m.top = [3][]mix.Slot{slots(span * 8), slots(classes * 8), slots(exps * 8 * 4)}
	m.low = slots(classes * classes)
	m.zero = [4][]mix.Slot{slots(48), slots(4096), slots(256), slots(256)}
	m.lone = slots(16)
	m.plain = slots(8)
	m.class = mix.NewMixer8(states*16, 1<<16*3/16, 6)
	m.signs = mix.NewMixer4(2, 1<<14, 3)
	m.tops = mix.NewMixer4(8, 1<<14, 3)
	m.zeros = mix.NewMixer4(16, 1<<14, 6)
	return m
}

// Params say what an array is like; they travel with it.
type Params struct {
	Class codec.Class
	Cols  int  // elements of a row; 0: not known
	Based bool // there is a basis
	Top   int  // floats: the highest exponent, of the basis if there is one
	Level int  // of the average magnitude at the start
	Zeros bool // elements become zero whose basis was not
	// Period is after how many elements an array without basis resembles
	// itself; 0: it does not.
	Period int
}

// Measure returns the parameters with which to code data.
func Measure(class codec.Class, cols int, basis, data []byte) Params {
	const piece = 4096
	m := &Model{f: formatOf(class), based: basis != nil}
	f := &m.f
	p := Params{Class: class, Cols: cols, Based: basis != nil}
	v, b := make([]int64, piece), make([]int64, piece)
	pieces := func(do func(v, b []int64)) {
		for at := 0; at < len(data); at += piece * f.width {
			n := min(len(data)-at, piece*f.width)
			f.load(v[:n/f.width], data[at:])
			if basis != nil {
				f.load(b[:n/f.width], basis[at:])
			}
			do(v[:n/f.width], b[:n/f.width])
		}
	}
	if f.float {
		pieces(func(v, b []int64) {
			if basis != nil {
				v = b
			}
			for _, x := range v {
				p.Top = max(p.Top, f.exp(x))
			}
		})
	}
	m.p = p
	var sum uint64
	zeros := 0
	pieces(func(v, b []int64) {
		for i := range v {
			_, _, mag := m.split(v[i], b[i])
			sum += min(mag, 1<<44)
			if p.Based && v[i] == 0 && b[i] != 0 {
				zeros++
			}
		}
	})
	n := len(data) / f.width
	if n > 0 {
		p.Level = level(sum / uint64(n))
	}
	p.Zeros = zeros > n/64
	return p
}

// Validate says whether the parameters are in range.
func (p Params) Validate() error {
	if p.Top < 0 || p.Top > 0x7ff || p.Level < 0 || p.Level > 4*64+3 || p.Cols < 0 || p.Cols > maxCols || p.Period < 0 || p.Period > MaxPeriod {
		return fmt.Errorf("parameters %+v out of range", p)
	}
	return nil
}

// split returns the class of an element, the shift between its own scale and
// that of averages in quarter bits, and its magnitude in the scale of averages.
func (m *Model) split(v, b int64) (class, shift int, mag uint64) {
	if m.f.float && !m.based {
		e := int(m.f.magnitude(v) >> m.f.mantissa & m.f.exponent)
		class = min(max(e-(m.p.Top-classes+1), 0), classes-1)
		frac := uint64(m.f.magnitude(v)) & (1<<m.f.mantissa - 1)
		// one.mantissa in quarter-exact fixed point
		one := uint64(1)<<20 | frac<<20>>m.f.mantissa
		if d := max(m.p.Top-e, 0); d < 40 {
			mag = one << 20 >> d
		}
		if e == 0 {
			mag = 0
		}
		return class, 0, mag
	}
	d := v - b
	if d < 0 {
		d = -d
	}
	shift = m.shift(b)
	return bits.Len64(uint64(d)), 4 * shift, scale(uint64(d), shift)
}

func (m *Model) shift(b int64) int {
	if !m.f.float {
		return 0
	}
	return min(max(m.f.exp(b)-(m.p.Top-reach), 0), reach)
}

func scale(d uint64, shift int) uint64 {
	return min(d, 1<<(60-fraction-reach)) << (fraction + shift)
}

// level returns the logarithm of x in quarter bits, about; 0 for 0.
func level(x uint64) int {
	n := bits.Len64(x)
	if n < 3 {
		return [4]int{0, 4, 8, 10}[x]
	}
	return 4*n + int(x>>(n-3)&3)
}

// Begin starts an array, at a column of a row.
func (m *Model) Begin(p Params, start int) {
	m.p = p
	m.cols = p.Cols
	if m.cols <= 0 || m.cols > maxCols {
		m.cols = 1024
	}
	mean := unlevel(p.Level)
	m.last, m.row = mean, mean
	if cap(m.above) < m.cols+2 {
		m.above, m.column, m.signsUp = make([]uint64, m.cols+2), make([]uint64, m.cols+2), make([]int8, m.cols+2)
	}
	m.above, m.column, m.signsUp = m.above[:m.cols+2], m.column[:m.cols+2], m.signsUp[:m.cols+2]
	for i := range m.above {
		m.above[i], m.column[i], m.signsUp[i] = mean, mean, 0
	}
	m.col = start % m.cols
	m.left = [2]int64{}
	m.pruned, m.prunedRow, m.prunedLast, m.changed = unknown, unknown, unknown, 0
	if p.Period > 0 {
		m.ahead.begin(m.cols, p.Period)
	}
}

const maxCols = 1 << 16

func unlevel(l int) uint64 {
	if l < 12 {
		return uint64(l / 4)
	}
	return uint64(4|l&3) << (l/4 - 3)
}

// bit8 codes one bit from the eight slots of m.at.
func (m *Model) bit8(c *mix.Coder, set, bit int, limit uint32) int {
	at := &m.at
	x := &m.in
	for i := range x {
		x[i] = mix.Stretch(at[i].P())
	}
	bit = c.Code(bit, m.class.Mix(set, x))
	m.class.Learn(set, x, bit)
	for _, s := range at {
		s.Learn(bit, limit)
	}
	return bit
}

// bit4 codes one bit from the first four slots of m.at.
func (m *Model) bit4(c *mix.Coder, mixer *mix.Mixer4, set, bit int, limit uint32) int {
	at := (*[4]*mix.Slot)(m.at[:])
	x := (*[4]int32)(m.in[:])
	for i := range x {
		x[i] = mix.Stretch(at[i].P())
	}
	bit = c.Code(bit, mixer.Mix(set, x))
	mixer.Learn(set, x, bit)
	for _, s := range at {
		s.Learn(bit, limit)
	}
	return bit
}

// Code codes a run of whole elements. rest, if not nil, says for each what
// rounding took from its basis, in 256ths.
func (m *Model) Code(c *mix.Coder, basis []byte, rest []int8, data []byte) {
	const piece = 4096
	w := m.f.width
	if m.values == nil {
		m.values, m.basis = make([]int64, piece), make([]int64, piece)
	}
	for len(data) > 0 {
		n := min(len(data)/w, piece)
		v, b := m.values[:n], m.basis[:n]
		if basis != nil {
			m.f.load(b, basis)
			basis = basis[n*w:]
		} else {
			clear(b)
		}
		m.rest, m.hasRest = rest, rest != nil
		if rest != nil {
			rest = rest[n:]
		}
		if !c.Decodes() {
			m.f.load(v, data[:n*w])
		}
		if m.p.Period > 0 {
			m.foretold(c, v, b)
		} else {
			for i := range v {
				v[i] = m.element(c, v[i], b[i])
			}
		}
		if c.Decodes() {
			m.f.save(data[:n*w], v)
		}
		data = data[n*w:]
	}
}

// foretold codes elements of an array with a period. What is foretold is the
// basis of integers; of floats, whose steps depend on themselves, a context.
func (m *Model) foretold(c *mix.Coder, v, b []int64) {
	for i := range v {
		guess := m.ahead.next()
		if !m.f.float {
			b[i] = guess
		}
		v[i] = m.element(c, v[i], b[i])
		m.ahead.learn(m.linear(v[i]))
	}
}

func (m *Model) element(c *mix.Coder, v, b int64) int64 {
	if m.p.Zeros && b != 0 {
		if m.becomesZero(c, v, b) {
			m.note(0, 0)
			if m.hasRest {
				m.rest = m.rest[1:]
			}
			return 0
		}
	}
	m.near0 = 0
	if m.hasRest {
		m.near0 = 1 + int(uint8(m.rest[0])^0x80)>>3
		m.rest = m.rest[1:]
	}
	col := m.col + 1
	shift := 4 * m.shift(b)
	if m.f.float && !m.based {
		shift = 0
	}
	offset := 4*fraction + shift - halfSpan // of levels of |d|: class k is 4k + offset + halfSpan
	if m.f.float && !m.based {
		// Exponent e is magnitude 2^(40+e-Top), of level 4·(41+e-Top), and e is
		// class + Top - 63.
		offset = 4*(41-classes+1) - 4 - halfSpan
	}
	up := (m.above[col-1] + 2*m.above[col] + m.above[col+1]) / 4
	if m.col == 0 {
		up = (3*m.above[col] + m.above[col+1]) / 4
	}
	var q [forecasts]int
	q[byLast] = level(m.last) - offset
	q[byRow] = level(m.row) - offset
	q[byAbove] = level(up) - offset
	q[byColumn] = level(m.column[col]) - offset
	q[byAll] = level((m.last+m.row+up+m.column[col])/4) - offset
	// q is now 4·class + halfSpan for the forecast class
	exp := 0
	if m.based {
		if m.f.float {
			exp = min(max(m.f.exp(b)-m.p.Top+exps-1, 0), exps-1)
		} else {
			exp = magnitudeContext(b)
		}
	} else {
		exp = magnitudeContext(m.left[0])
		if m.f.float {
			exp = int(m.left[0])
		}
	}
	if m.foretells() {
		m.sure, m.negative = m.ahead.lean()
		m.outlook = level(m.ahead.outlook()) + 4*(40-24-fraction) - offset
	}
	K := min(max((q[byAll]-halfSpan)/4, 0), classes-2)

	k := 0
	if !c.Decodes() {
		k, _, _ = m.split(v, b)
	}
	k = m.codeClass(c, k, K, &q, exp)

	// sign and digits
	if m.f.float && !m.based {
		return m.finishFloat(c, v, k, &q, exp)
	}
	if k == 0 {
		m.note(0, 0)
		return b
	}
	d := v - b
	neg := 0
	if d < 0 {
		neg = 1
		d = -d
	}
	neg = m.codeSign(c, neg, b, k, q[byAll]-4*k, exp)
	mag := m.codeDigits(c, uint64(d), k-1, k, q[byAll]-4*k, exp) | 1<<(k-1)
	d = int64(mag)
	if neg != 0 {
		d = -d
	}
	v = b + d
	m.note(scale(mag, shift/4), d)
	return v
}

func magnitudeContext(v int64) int {
	s := 0
	if v < 0 {
		s = 32
		v = -v
	}
	if v < 8 {
		return s + int(v)
	}
	n := bits.Len64(uint64(v))
	return s + min(8+2*(n-4)+int(v>>(n-2)&1), 31)
}

func (m *Model) codeClass(c *mix.Coder, k, K int, q *[forecasts]int, exp int) int {
	pattern := 0
	if m.based || !m.f.float {
		pattern = min(bits.Len64(uint64(abs(m.left[0]))), 3) | min(bits.Len64(uint64(abs(m.left[1]))), 3)<<2
		pattern |= int(m.signsUp[m.col+1]+1)<<4 | int(m.signsUp[m.col]&1)<<6 | int(m.signsUp[m.col+2]&1)<<7
	}
	step := func(state, j, bit int) int {
		for i := range q {
			rel := min(max(4*j-q[i]+span, 0), span-1)
			m.at[i] = &m.near[i][state*span+rel]
		}
		if !m.f.float {
			// How much of this row has changed tells better than any average.
			m.at[byAll] = &m.count[(state*classes+j)*128+min(m.changed, 7)<<4+min(bits.Len(uint(m.col)), 15)]
		}
		a := min(max(4*j-q[byLast]+span, 0), span-1) / 4
		b := min(max(4*j-q[byColumn]+span, 0), span-1) / 4
		m.at[5] = &m.pair[(state*16+a)*16+b]
		m.at[6] = &m.exp[(state*exps+exp)*classes+j]
		if m.foretells() {
			rel := min(max(4*j-m.outlook+span, 0), span-1)
			m.at[7] = &m.guess[(state*16+m.sure)*span+rel]
			return m.bit8(c, state*16+min(j, 15), bit, 400)
		}
		if m.near0 > 0 {
			m.at[5] = &m.lean[(state*64+m.near0)*classes+j]
		}
		m.at[7] = &m.digit[(state*256+pattern)*classes+j]
		return m.bit8(c, state*16+min(j, 15), bit, 400)
	}
	above := func(j int) int {
		if k > j {
			return 1
		}
		return 0
	}
	if step(0, K, above(K)) != 0 {
		for j := K + 1; j < classes-1; j++ {
			if step(1, j, above(j)) == 0 {
				return j
			}
		}
		return classes - 1
	}
	for j := K - 1; j >= 0; j-- {
		if step(2, j, above(j)) != 0 {
			return j + 1
		}
	}
	return 0
}

// foretells says whether contexts come of what is foretold.
func (m *Model) foretells() bool { return m.f.float && m.p.Period > 0 }

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

func signOf(v int64) int {
	switch {
	case v < 0:
		return 2
	case v > 0:
		return 1
	}
	return 0
}

func (m *Model) codeSign(c *mix.Coder, neg int, b int64, k, rel, exp int) int {
	l, u, s := signOf(m.left[0]), int(m.signsUp[m.col+1]+1), signOf(b)
	rel = min(max(rel, 0), span-1)
	m.at[0] = &m.sign[0][(l*3+u)*3+s]
	m.at[1] = &m.sign[1][rel*3+s]
	if m.near0 > 0 {
		m.at[1] = &m.sign[1][span*3+m.near0]
	}
	m.at[2] = &m.sign[2][exp*4+s]
	m.at[3] = &m.sign[3][((l*3+signOf(m.left[1]))*3+u)*3+int(m.signsUp[m.col]+1)]
	set := 0
	if m.foretells() {
		set = 1
		i := (m.sure*2 + 0) * 16
		if m.negative {
			i += 16
		}
		m.at[3] = &m.guessSign[i+min(max((m.outlook-halfSpan-4*k)/4+8, 0), 15)]
	}
	return m.bit4(c, m.signs, set, neg, 1000)
}

// codeDigits codes the low n bits of d, whose class is k.
func (m *Model) codeDigits(c *mix.Coder, d uint64, n, k, rel, exp int) uint64 {
	node := 1
	var out uint64
	guess := -1
	if m.foretells() {
		// Where the guess is of the same class, its upper bits tell.
		g := uint64(max(m.ahead.guess, -m.ahead.guess))
		class := bits.Len64(g) - 25 + classes - 1
		upper := 0
		if n := bits.Len64(g); n > 2 {
			upper = int(g>>(n-3)) & 3
		}
		guess = ((m.sure*4+min(max(class-k+1, 0), 3))*4 + upper) * 8
	}
	rel = min(max(rel, 0), span-1)
	for i := n - 1; i >= 0; i-- {
		bit := int(d >> i & 1)
		if node < 8 {
			m.at[0] = &m.top[0][rel*8+node]
			m.at[1] = &m.top[1][k*8+node]
			m.at[2] = &m.top[2][(exp*4+min(n, 3))*8+node]
			if guess >= 0 {
				m.at[2] = &m.guessTop[guess+node]
			}
			m.at[3] = &m.plain[node]
			bit = m.bit4(c, m.tops, node, bit, 1000)
			node = node*2 | bit
		} else {
			s := &m.low[k*classes+i]
			bit = c.Code(bit, s.P())
			s.Learn(bit, 1000)
		}
		out = out<<1 | uint64(bit)
	}
	return out
}

func (m *Model) finishFloat(c *mix.Coder, v int64, k int, q *[forecasts]int, exp int) int64 {
	f := m.f
	mag := f.magnitude(v)
	e := mag >> f.mantissa & f.exponent
	if k == 0 {
		zero := 0
		if mag == 0 {
			zero = 1
		}
		s := &m.lone[0]
		zero = c.Code(zero, s.P())
		s.Learn(zero, 255)
		if zero != 0 {
			e, mag = 0, 0
		} else {
			e = int64(c.Bits(uint32(e), bits.Len64(uint64(f.exponent))))
		}
		if zero != 0 {
			neg := &m.lone[1]
			n := neg01(v)
			n = c.Code(n, neg.P())
			neg.Learn(n, 255)
			m.noteFloat(0, 0, n)
			return -int64(n) // +0 is 0, -0 is ^0
		}
	} else {
		e = int64(k+m.p.Top-classes+1) & f.exponent
	}
	neg := m.codeSign(c, neg01(v), 0, k, q[byAll]-4*k, exp)
	frac := m.codeDigits(c, uint64(mag)&(1<<f.mantissa-1), f.mantissa, k, q[byAll]-4*k, exp)
	mag = e<<f.mantissa | int64(frac)
	v = mag ^ -int64(neg)
	_, _, a := m.split(v, 0)
	m.noteFloat(a, k, neg)
	return v
}

func neg01(v int64) int {
	if v < 0 {
		return 1
	}
	return 0
}

// noteFloat remembers an element of an array of floats without basis.
func (m *Model) noteFloat(mag uint64, k, neg int) {
	m.noteMag(mag, int8(1-2*neg))
	m.left[1], m.left[0] = m.left[0], int64(k)
}

func (m *Model) note(mag uint64, d int64) {
	s := int8(0)
	if d > 0 {
		s = 1
	} else if d < 0 {
		s = -1
	}
	m.noteMag(mag, s)
	m.left[1], m.left[0] = m.left[0], d
	if d != 0 {
		m.changed++
	}
}

func (m *Model) noteMag(mag uint64, s int8) {
	col := m.col + 1
	m.last += (mag >> 2) - (m.last >> 2)
	m.row += (mag >> 5) - (m.row >> 5)
	m.column[col] += (mag >> 3) - (m.column[col] >> 3)
	m.above[col] = mag
	m.signsUp[col] = s
	if m.col++; m.col == m.cols {
		m.col, m.changed = 0, 0
		m.prunedRow, m.prunedLast = unknown, m.prunedRow
	}
}

// bounds are how far magnitudes that became zero and such that did not reach.
type bounds struct{ hi, lo int64 }

// unknown bounds say nothing yet.
var unknown = bounds{-1, 1 << 62}

// place says on which side of the bounds a magnitude lies: 1 where others became
// zero, 2 where others stayed, 3 where both did, 0 between.
func (b *bounds) place(mag int64) int {
	switch {
	case mag <= b.hi && mag < b.lo:
		return 1
	case mag > b.hi && mag >= b.lo:
		return 2
	case mag <= b.hi:
		return 3
	}
	return 0
}

func (b *bounds) note(mag int64, zero bool) {
	if zero {
		b.hi = max(b.hi, mag)
	} else {
		b.lo = min(b.lo, mag)
	}
}

// near says how far a magnitude is from the bounds, in few steps.
func (b *bounds) near(mag int64) int {
	return min(bits.Len64(uint64(max(mag-b.hi, 0))), 7)<<3 | min(bits.Len64(uint64(max(b.lo-mag, 0))), 7)
}

// becomesZero codes whether an element becomes zero: pruning takes those of a
// tensor, or of a row's own scale, that are smallest.
func (m *Model) becomesZero(c *mix.Coder, v, b int64) bool {
	mag := m.f.magnitude(b)
	all, row := m.pruned.place(mag), m.prunedRow.place(mag)
	n := bits.Len64(uint64(mag))
	fine := 0
	if n > 4 {
		fine = int(mag>>(n-4)) & 7
	} else {
		fine = int(mag) & 7
	}
	if m.f.float {
		fine = int(mag>>(m.f.mantissa-3)) & 7
		n = m.f.exp(b) & 63
	}
	m.at[0] = &m.zero[0][(all*4+row)*3+signOf(m.left[0])]
	m.at[1] = &m.zero[1][n<<3|fine]
	m.at[2] = &m.zero[2][row<<6|m.prunedRow.near(mag)]
	m.at[3] = &m.zero[3][row<<6|m.prunedLast.near(mag)]
	bit := 0
	if v == 0 {
		bit = 1
	}
	zero := m.bit4(c, m.zeros, all*4+row, bit, 1000) != 0
	m.pruned.note(mag, zero)
	m.prunedRow.note(mag, zero)
	return zero
}
