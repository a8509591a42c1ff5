package golden

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// comparison gathers how one output compares, case by case.
type comparison struct {
	rule  Rule
	check modelrt.GoldenCheck

	rows, same int // of Top1
}

func newComparison(output string, rule Rule) *comparison {
	c := &comparison{rule: rule, check: modelrt.GoldenCheck{Output: output, Metric: string(rule.Metric)}}
	switch rule.Metric {
	case Element:
		c.check.Limit = 1
	case MeanAbs:
		c.check.Limit = rule.Max
	case Cosine, Top1:
		c.check.Limit, c.check.Value = rule.Min, 1
	}
	return c
}

// add compares the output of one case.
func (c *comparison) add(name string, got, want modelrt.Tensor) {
	c.check.Cases++
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
		c.incomparable(name, fmt.Sprintf("it is %s%v, expected is %s%v", got.DType, got.Shape, want.DType, want.Shape))
		return
	}
	diff, maxAbs := differences(got, want)
	c.check.MaxAbs = max(c.check.MaxAbs, maxAbs)
	switch c.rule.Metric {
	case Element:
		c.worse(name, excess(got, want, c.rule))
	case MeanAbs:
		c.worse(name, diff)
	case Cosine:
		if v := finite(cosine(got, want), -1); v < c.check.Value {
			c.check.Value, c.check.Worst = v, name
		}
	case Top1:
		if len(want.Shape) == 0 || want.Len() == 0 {
			c.incomparable(name, "top1 needs an output with an axis")
			return
		}
		rows, same := top1(got, want)
		c.rows, c.same = c.rows+rows, c.same+same
		if same < rows && c.check.Worst == "" {
			c.check.Worst = name
		}
		c.check.Value = float64(c.same) / float64(c.rows)
	}
}

// worse keeps the largest value.
func (c *comparison) worse(name string, v float64) {
	if v = finite(v, math.MaxFloat64); v > c.check.Value {
		c.check.Value, c.check.Worst = v, name
	}
}

// incomparable notes what no metric can forgive.
func (c *comparison) incomparable(name, why string) {
	if c.check.Detail == "" {
		c.check.Detail, c.check.Worst = why, name
	}
}

// result is the check with its verdict.
func (c *comparison) result() modelrt.GoldenCheck {
	out := c.check
	if c.rule.Metric == Cosine || c.rule.Metric == Top1 {
		out.OK = out.Value >= out.Limit
	} else {
		out.OK = out.Value <= out.Limit
	}
	if out.Detail != "" {
		out.OK, out.Value = false, math.MaxFloat64
	}
	return out
}

func finite(v, otherwise float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return otherwise
	}
	return v
}

// alike tells whether two elements are equal, or both NaN.
func alike(e, w float64) bool { return e == w || (math.IsNaN(e) && math.IsNaN(w)) }

// differences returns the mean of |e-w|, infinite where a NaN or an infinity
// meets something else, and the largest one between finite elements.
func differences(got, want modelrt.Tensor) (mean, maxAbs float64) {
	n := want.Len()
	for i := range n {
		e, w := got.At(i), want.At(i)
		if alike(e, w) {
			continue
		}
		d := math.Abs(e - w)
		if math.IsNaN(d) || math.IsInf(d, 0) {
			mean = math.Inf(1)
			continue
		}
		maxAbs = max(maxAbs, d)
		mean += d / float64(n)
	}
	return mean, maxAbs
}

// excess returns the largest |e-w| / (atol + rtol*|w|).
func excess(got, want modelrt.Tensor, r Rule) float64 {
	if bytes.Equal(got.Data, want.Data) { // and 64-bit integers beyond 2^53
		return 0
	}
	worst := 0.0
	for i := range want.Len() {
		e, w := got.At(i), want.At(i)
		if alike(e, w) {
			size := want.DType.Size()
			if want.DType.IsFloat() || bytes.Equal(got.Data[i*size:(i+1)*size], want.Data[i*size:(i+1)*size]) {
				continue
			}
			return math.Inf(1) // integers that only look alike as float64
		}
		// An infinity, a NaN or a bound of zero gives infinity or NaN.
		v := math.Abs(e-w) / (r.ATol + r.RTol*math.Abs(w))
		if math.IsNaN(v) || math.IsInf(w, 0) {
			return math.Inf(1)
		}
		worst = max(worst, v)
	}
	return worst
}

// cosine returns the cosine of the angle between both as vectors: 1 for two
// zero vectors, 0 where only one is, NaN where an element is not finite.
func cosine(got, want modelrt.Tensor) float64 {
	var dot, ee, ww float64
	for i := range want.Len() {
		e, w := got.At(i), want.At(i)
		dot, ee, ww = dot+e*w, ee+e*e, ww+w*w
	}
	switch {
	case math.IsNaN(dot) || math.IsInf(ee, 0) || math.IsInf(ww, 0):
		return math.NaN()
	case ee == 0 && ww == 0:
		return 1
	case ee == 0 || ww == 0:
		return 0
	}
	return min(dot/(math.Sqrt(ee)*math.Sqrt(ww)), 1)
}

// top1 counts the rows along the last axis, and those with the same largest
// element; of equal ones the first counts, and a row with a NaN has none.
func top1(got, want modelrt.Tensor) (rows, same int) {
	width := int(want.Shape[len(want.Shape)-1])
	rows = want.Len() / width
	for r := range rows {
		e, w := largest(got, r*width, width), largest(want, r*width, width)
		if e >= 0 && e == w {
			same++
		}
	}
	return rows, same
}

func largest(t modelrt.Tensor, from, width int) int {
	at := 0
	for i := range width {
		v := t.At(from + i)
		if math.IsNaN(v) {
			return -1
		}
		if v > t.At(from+at) {
			at = i
		}
	}
	return at
}
