package weights

import (
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// Model codes arrays of one class, all with basis or all without. It keeps what
// it learned from one array to the next. It is not safe for concurrent use.
type Model struct {
	format format
	based  bool

	search   search
	signs    signs
	digits   digits
	pruning  pruning
	zeros    zeros
	farthest farthest
	gaps     *gaps // made when first needed

	// The array at hand.
	params Params
	near   neighbours
	ahead  predictor
	at     setting // of the element at hand
	least  int     // class of its difference: 1 if it is known to differ

	values, basis []int64 // the elements at hand, and their basis
}

// NewModel returns a model for arrays of a class, which is not [codec.Other].
// One that is based codes differences: from a basis, or those of integers from
// what a period foretells. It takes about 0.5 MiB.
func NewModel(class codec.Class, based bool) *Model {
	m := &Model{format: formatOf(class), based: based}
	m.search.init()
	m.signs.init()
	m.digits.init()
	m.pruning.init()
	m.zeros.init()
	m.farthest.init()
	m.values, m.basis = make([]int64, piece), make([]int64, piece)
	return m
}

// Begin starts an array whose parameters pass [Params.Validate], at an element
// in the column start of its row, counted from 0.
func (m *Model) Begin(p Params, start int) {
	m.params = p
	cols := p.Cols
	if cols <= 0 || cols > MaxCols {
		cols = usualCols
	}
	m.near.begin(cols, max(start, 0)%cols, unlevel(p.Level))
	m.pruning.begin()
	if p.Period > 0 {
		m.ahead.begin(cols, p.Period)
	}
	m.least = 0
	if p.Sparse {
		m.least = 1
		if m.gaps == nil {
			m.gaps = newGaps()
		}
		m.gaps.begin()
	}
	m.at = setting{float: m.format.float, foretold: m.format.float && p.Period > 0}
}

// Code codes the next run of whole elements of the array that began last: an
// encoder reads data, a decoder fills it. basis has the length of data or is
// nil, for zeros. rest, if not nil, says for each element what rounding took
// from its basis, in 256ths of a step; both ends must have the same. How an array
// is cut into runs makes no difference to what is coded, unless it is sparse:
// then both ends must cut alike, and each run costs about a byte. Bytes of no
// whole element at the end are left alone.
func (m *Model) Code(c *mix.Coder, basis []byte, rest []int8, data []byte) {
	w := m.format.width
	for len(data) >= w {
		if m.params.Sparse {
			n := min(len(data)/w, sparseRun)
			m.sparse(c, basis[:n*w], rest, data[:n*w])
			basis, data = basis[n*w:], data[n*w:]
			if rest != nil {
				rest = rest[n:]
			}
			continue
		}
		n := min(len(data)/w, piece)
		v, b := m.values[:n], m.basis[:n]
		if basis != nil {
			m.format.load(b, basis)
			basis = basis[n*w:]
		} else {
			clear(b)
		}
		if !c.Decodes() {
			m.format.load(v, data)
		}
		m.near.prepare(n)
		m.run(c, v, b, rest)
		if c.Decodes() {
			m.format.save(data, v)
		}
		if rest != nil {
			rest = rest[n:]
		}
		data = data[n*w:]
	}
}

// run codes the elements v with the basis b.
func (m *Model) run(c *mix.Coder, v, b []int64, rest []int8) {
	periodic := m.params.Period > 0
	m.at.rest = 0
	for i := range v {
		if rest != nil {
			m.at.rest = restStep(rest[i])
		}
		if !periodic {
			v[i] = m.element(c, v[i], b[i])
			continue
		}
		// What is foretold is the basis of integers; of floats, whose steps
		// depend on themselves, a context.
		basis, guess := b[i], m.ahead.next()
		if !m.format.float {
			basis = guess
		}
		v[i] = m.element(c, v[i], basis)
		m.ahead.learn(m.format.linear(v[i], m.params.Top))
	}
}

// element codes v with the basis b.
func (m *Model) element(c *mix.Coder, v, b int64) int64 {
	if m.format.float && !m.based {
		return m.floating(c, v)
	}
	return m.difference(c, v, b)
}

// note takes what an element was like; see [neighbours.note].
func (m *Model) note(mag uint64, sign, left int64) {
	if m.near.note(mag, sign, left) {
		m.pruning.endRow()
	}
}
