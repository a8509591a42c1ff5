package weights

import (
	"math/bits"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

const (
	classes   = 64 // of magnitudes
	lastClass = classes - 1
	exps      = 64 // of a basis element that are told apart
	span      = 64 // quarter bits that a class may lie off a forecast and be told apart
	halfSpan  = span / 2
	mixSets   = 16 // classes with sets of weights of their own

	searchLimit = 400
)

// The states of a search: its first step, those up and those down from there.
const (
	atForecast = iota
	goingUp
	goingDown
	searchStates
)

// search codes the class of an element by questions whether it is above some
// class: first the class foretold, then one after the other up or down.
type search struct {
	states [searchStates]questions
	mixer  *mix.Mixer8
}

// questions are the slots of one state.
type questions struct {
	near    [forecasts][span]mix.Slot        // by how far a forecast is
	pair    [span / 4][span / 4]mix.Slot     // by two of them, coarser
	scale   [exps][classes]mix.Slot          // by the basis element's size
	pattern [256][classes]mix.Slot           // by what is around, where that is small
	changes [classes][8][16]mix.Slot         // by how much of this row has changed
	lean    [restSteps + 1][classes]mix.Slot // by what rounding took from the basis
	outlook [sureSteps][span]mix.Slot        // by what the array itself foretells
}

func (s *search) init() {
	for i := range s.states {
		q := &s.states[i]
		for j := range q.near {
			mix.Fill(q.near[j][:])
		}
		for j := range q.pair {
			mix.Fill(q.pair[j][:])
		}
		for j := range q.scale {
			mix.Fill(q.scale[j][:])
		}
		for j := range q.pattern {
			mix.Fill(q.pattern[j][:])
		}
		for j := range q.changes {
			for k := range q.changes[j] {
				mix.Fill(q.changes[j][k][:])
			}
		}
		for j := range q.lean {
			mix.Fill(q.lean[j][:])
		}
		for j := range q.outlook {
			mix.Fill(q.outlook[j][:])
		}
	}
	s.mixer = mix.NewMixer8(searchStates*mixSets, 1<<16*3/16, 6)
}

// code codes the class k, which is least or above.
func (s *search) code(c *mix.Coder, e *setting, least, k int) int {
	if s.above(c, e, atForecast, e.class, k) {
		for j := e.class + 1; j < lastClass; j++ {
			if !s.above(c, e, goingUp, j, k) {
				return j
			}
		}
		return lastClass
	}
	for j := e.class - 1; j >= least; j-- {
		if s.above(c, e, goingDown, j, k) {
			return j + 1
		}
	}
	return least
}

// above codes whether the class k is above j.
func (s *search) above(c *mix.Coder, e *setting, state, j, k int) bool {
	q := &s.states[state]
	var slots [8]*mix.Slot
	off := func(level int) int { return min(max(4*j-level+span, 0), span-1) }
	last, column := off(e.levels[byLast]), off(e.levels[byColumn])
	slots[byLast] = &q.near[byLast][last]
	slots[byRow] = &q.near[byRow][off(e.levels[byRow])]
	slots[byAbove] = &q.near[byAbove][off(e.levels[byAbove])]
	slots[byColumn] = &q.near[byColumn][column]
	if e.float {
		slots[byAll] = &q.near[byAll][off(e.levels[byAll])]
	} else {
		// Whether this row has changed tells better than any average.
		slots[byAll] = &q.changes[j][e.changed][e.colBits]
	}
	if e.rest > 0 && !e.foretold {
		slots[5] = &q.lean[e.rest][j]
	} else {
		slots[5] = &q.pair[last/4][column/4]
	}
	slots[6] = &q.scale[e.scale][j]
	if e.foretold {
		slots[7] = &q.outlook[e.sure][off(e.outlook)]
	} else {
		slots[7] = &q.pattern[e.pattern][j]
	}
	bit := 0
	if k > j {
		bit = 1
	}
	return s.mixer.Code(c, state*mixSets+min(j, mixSets-1), &slots, bit, searchLimit) != 0
}

// pattern describes small differences around the next element: the two to the
// left in size, those above by sign.
func (n *neighbours) pattern() int {
	c := n.around()
	size := func(d int64) int { return min(bits.Len64(distance(d, 0)), 3) }
	p := size(n.left[0]) | size(n.left[1])<<2
	return p | int(c[1].sign+1)<<4 | int(c[0].sign&1)<<6 | int(c[2].sign&1)<<7
}
