package weights

import "math/bits"

// restSteps are how finely hints of rounding are told apart.
const restSteps = 32

// setting is what is known of an element before it is coded.
type setting struct {
	float    bool // the elements are floats
	foretold bool // and their array has a period

	levels  [forecasts]int // foretold: halfSpan for class 0, 4 more for each above
	class   int            // the class to expect
	scale   int            // of the basis element, or of the element to the left
	pattern int            // of differences around
	changed int            // elements of the row that differ, up to 7
	colBits int            // the logarithm of the column, up to 15
	rest    int            // what rounding took from the basis, from 1; 0: not known

	// Where the array has a period:
	guess   int64 // what is foretold
	sure    int   // how surely
	sign    int   // 1 if it is negative
	outlook int   // the level of the magnitude to expect
}

// off returns how far class k is from the forecast.
func (e *setting) off(k int) int { return min(max(e.levels[byAll]-4*k, 0), span-1) }

// restStep returns the step of a hint.
func restStep(rest int8) int { return 1 + (int(rest)+128)/8 }

// set begins the setting of an element, whose class has levels from base up.
func (m *Model) set(base int) {
	e, n := &m.at, &m.near
	e.levels = n.levels(base)
	e.class = min(max((e.levels[byAll]-halfSpan)/4, m.least), lastClass-1)
	if e.foretold {
		e.guess = m.ahead.guess
		e.sure, e.sign = m.ahead.lean()
		e.outlook = level(m.ahead.outlook()) + 4*(floatBits-guessBits-fraction) - base
	}
}

// setDifference makes the setting of an element with the basis b. It returns
// the shift of its difference in averages.
func (m *Model) setDifference(b int64) (shift int) {
	e, n, f := &m.at, &m.near, &m.format
	shift = f.shift(b, m.params.Top)
	m.set(4*(fraction+shift-f.drop) - halfSpan)
	e.pattern = n.pattern()
	switch {
	case f.float:
		e.scale = min(max(f.exp(b)-m.params.Top+exps-1, 0), exps-1)
		return shift
	case m.based:
		e.scale = scaleOf(b)
	default:
		e.scale = scaleOf(n.left[0])
	}
	e.changed = min(n.changed, 7)
	e.colBits = min(bits.Len(uint(n.col)), 15)
	return shift
}

// setFloat makes the setting of a float without basis.
func (m *Model) setFloat() {
	// The exponent Top is of magnitude 2^floatBits and of the last class.
	m.set(4*(floatBits-lastClass) - halfSpan)
	m.at.pattern = 0
	m.at.scale = int(m.near.left[0])
}

// scaleOf describes an integer: its sign and, about, its logarithm.
func scaleOf(v int64) int {
	s := 0
	if v < 0 {
		s = exps / 2
	}
	mag := distance(v, 0)
	if mag < 8 {
		return s + int(mag)
	}
	n := bits.Len64(mag)
	return s + min(8+2*(n-4)+int(mag>>(n-2)&1), exps/2-1)
}
