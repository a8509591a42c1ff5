package text

import "github.com/dunlin-mesh/dunlin/codec/mix"

// apm refines a probability in a context: it learns which probability a logit
// really meant there, interpolating between apmSteps points.
type apm struct {
	points []uint16
	lo     *uint16 // the two points that the last refine used
	hi     *uint16
	wide   uint32 // how near to hi, in 4096
}

const (
	apmSteps  = 24
	apmStride = 2 * (mix.MaxLogit + 1) / apmSteps
	apmRate   = 5
)

func newAPM(contexts int) *apm {
	a := &apm{points: make([]uint16, contexts*(apmSteps+1))}
	for i := range a.points {
		j := int32(i % (apmSteps + 1))
		a.points[i] = uint16(mix.Squash(j*apmStride - mix.MaxLogit - 1))
	}
	return a
}

func (a *apm) refine(context int, logit int32) uint32 {
	x := uint32(logit + mix.MaxLogit + 1)
	j := x / apmStride
	f := x % apmStride
	pts := a.points[context*(apmSteps+1)+int(j):][:2]
	a.lo, a.hi = &pts[0], &pts[1]
	a.wide = f * 2
	return (uint32(pts[0])*(apmStride-f) + uint32(pts[1])*f) / apmStride
}

func (a *apm) learn(bit int) {
	p := a.lo
	if a.wide > apmStride {
		p = a.hi
	}
	if bit != 0 {
		*p += (65535 - *p) >> apmRate
	} else {
		*p -= *p >> apmRate
	}
}
