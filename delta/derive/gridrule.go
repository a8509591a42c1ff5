package derive

import (
	"context"
	"slices"
)

// Rows that a rule must predict to be a candidate, and elements on which the
// candidates are compared.
const (
	ruleRows     = 8
	ruleElements = 1 << 20
)

// findRule looks for a rule by which factors follow from the old row alone, so
// that none need be stored; true if one predicts nearly all of some whole rows.
func (c *Conversion) findRule(ctx context.Context, old, next *Matrix, low, high int32, unsigned bool) (bool, error) {
	rules := rulesFor(low, high, unsigned)
	for _, count := range []int{ruleRows, max(ruleRows, ruleElements/c.width())} {
		misses, all, err := c.ruleMisses(ctx, old, next, rules, spread(c.Rows, count))
		if err != nil {
			return false, err
		}
		least := slices.Min(misses)
		if least > all/100 {
			return false, nil
		}
		var left []grid
		for r, n := range misses {
			if n <= least+all/500 && count == ruleRows || n == least {
				left = append(left, rules[r])
			}
		}
		rules = left
	}
	c.grid = rules[0]
	return true, nil
}

// ruleMisses counts, in whole rows, the elements that each rule does not
// predict.
func (c *Conversion) ruleMisses(ctx context.Context, old, next *Matrix, rules []grid, step int) (misses []int, all int, err error) {
	misses = make([]int, len(rules))
	basis := make([]byte, c.basisBytes())
	try := *c
	err = eachRow(ctx, old, next, step, 0, c.width(), func(i int, a, b []byte) error {
		all += c.width()
		for r := range rules {
			try.grid = rules[r]
			try.quantizeRow(i, a, basis, nil)
			for j := range c.width() {
				if ordered(c.To, basis, j) != ordered(c.To, b, j) {
					misses[r]++
				}
			}
		}
		return nil
	})
	return misses, all, err
}

// rulesFor returns the rules that tools use for integers low..high: for those
// around zero the largest magnitude goes to the highest, to one more or to the
// half between (ONNX Runtime and PyTorch: 127, 127.5 and 128 for bytes); for
// others the range from least to largest, zero included, goes to low..high.
func rulesFor(low, high int32, unsigned bool) []grid {
	var all []grid
	add := func(g grid) {
		for f := range forms {
			g.form = f
			g.away = false
			all = append(all, g)
			g.away = true
			all = append(all, g)
		}
	}
	if !unsigned {
		most := float64(max(-low, high))
		for _, levels := range []float64{most, most + 0.5, most + 1, most - 0.5, most - 1} {
			if levels >= 1 {
				add(grid{axis: byPeak, low: low, high: high, levels: levels})
			}
		}
	} else {
		middle := []int32{128}
		most := float64(max(128-low, high-128))
		for _, levels := range []float64{most, most + 0.5, most + 1, most - 0.5, most - 1} {
			if levels >= 1 {
				add(grid{axis: byPeak, low: low, high: high, levels: levels, zeros: middle})
			}
		}
	}
	if high > low {
		add(grid{axis: byRange, low: low, high: high, levels: float64(high) - float64(low)})
	}
	return all
}
