package weights

import "github.com/dunlin-mesh/dunlin/codec"

const (
	// leastResemblance is the part of the variance that a period must explain.
	leastResemblance = 0.05
	// leastPeriodic is how many elements an array has whose period is looked for.
	leastPeriodic = 1 << 12
	// Periods are judged by so many runs of elements, evenly spread.
	sampleRuns, sampleRun = 24, 256
	// nearLags are the distances that are tried beside whole rows.
	nearLags, rowLags = 64, 2048
)

// Period looks for the distance, in elements, at which an array resembles
// itself; 0 if there is none, or none that explains 5 % of the variance. data
// are whole elements of a class in rows of cols, 0 or 1 if that is not known.
// Only whether a period helps depends on the outcome, so floats may decide.
func Period(class codec.Class, cols int, data []byte) int {
	f := formatOf(class)
	n := len(data) / f.width
	if n < leastPeriodic {
		return 0
	}
	top := Measure(class, cols, nil, data).Top
	load := func(to []int64, at int) {
		f.load(to, data[at*f.width:])
		for i, x := range to {
			to[i] = f.linear(x, top)
		}
	}
	lags := lagsOf(cols, n)
	sums := make([]products, len(lags))
	here, there := make([]int64, sampleRun), make([]int64, sampleRun)
	for r := range sampleRuns {
		at := (n - sampleRun) * (r + 1) / (sampleRuns + 1)
		load(here, at)
		for i, lag := range lags {
			if lag > at {
				break
			}
			load(there, at-lag)
			sums[i].add(here, there)
		}
	}
	best, found := 0.0, 0
	for i := range sums {
		// Nearer is cheaper: a longer period must explain clearly more.
		if c := sums[i].explained(); c > best*1.05 {
			best, found = c, lags[i]
		}
	}
	if best < leastResemblance {
		return 0
	}
	return found
}

// lagsOf returns the distances to try in n elements, in order of length.
func lagsOf(cols, n int) []int {
	var lags []int
	for lag := 1; lag <= nearLags; lag++ {
		lags = append(lags, lag)
	}
	if cols > 1 {
		for rows := 1; rows <= rowLags && rows*cols <= min(n/4, MaxPeriod); rows++ {
			lags = append(lags, rows*cols)
		}
	}
	return lags
}

// products are sums over pairs of numbers.
type products struct{ xy, xx, yy float64 }

func (p *products) add(xs, ys []int64) {
	for i := range xs {
		x, y := float64(xs[i]), float64(ys[i])
		p.xy += float64(x * y)
		p.xx += float64(x * x)
		p.yy += float64(y * y)
	}
}

// explained returns the part of the variance that one of each pair explains of
// the other, 0 if they go apart.
func (p *products) explained() float64 {
	if p.xx == 0 || p.yy == 0 || p.xy < 0 {
		return 0
	}
	return p.xy * p.xy / p.xx / p.yy
}
