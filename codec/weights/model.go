package weights

import (
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
// learned from one array to the next. It takes about 1 MiB, and up to 8 for a
// period. It serves one goroutine.
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
	lone      [2]mix.Slot // floats without basis: is it zero, is that negative
	plain     []mix.Slot  // [node]
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

// NewModel returns a model for arrays of a class, not Other, with a basis or
// without. Integers with a period count as with a basis: what is foretold.
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
	m.top = [3][]mix.Slot{slots(span * 8), slots((classes + 1) * 8), slots(exps * 8 * 4)}
	m.low = slots((classes + 1) * classes)
	m.zero = [4][]mix.Slot{slots(48), slots(4096), slots(256), slots(256)}
	m.lone = [2]mix.Slot{mix.NewSlot, mix.NewSlot}
	m.plain = slots(8)
	m.class = mix.NewMixer8(states*16, 1<<16*3/16, 6)
	m.signs = mix.NewMixer4(2, 1<<14, 3)
	m.tops = mix.NewMixer4(8, 1<<14, 3)
	m.zeros = mix.NewMixer4(16, 1<<14, 6)
	return m
}

// Begin starts an array whose parameters are valid; start, 0 or more, is the
// column of its first element.
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

// Code codes the next run of the array's elements, whole ones, in the direction
// of c: it reads data or fills it. basis, as long as data, is nil for arrays
// without; rest, if not nil, says for each element what rounding took from its
// basis, in 256ths of a step. How an array is cut into runs does not change the
// bits. The caller looks at [mix.Coder.Err] after decoding.
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
