package weights

import (
	"github.com/dunlin-mesh/dunlin/codec"
)

// Period looks for the distance, in elements, at which data resemble
// themselves; 0 if there is none. Columns are where rows of cols elements are
// known.
func Period(class codec.Class, cols int, data []byte) int {
	f := formatOf(class)
	n := len(data) / f.width
	if n < 1<<12 {
		return 0
	}
	top := 0
	m := &Model{f: f}
	v := make([]int64, min(n, 1<<12))
	if f.float {
		for at := 0; at < n; at += len(v) {
			p := v[:min(len(v), n-at)]
			f.load(p, data[at*f.width:])
			for _, x := range p {
				top = max(top, f.exp(x))
			}
		}
	}
	m.p.Top = top
	// A few runs, evenly spread, and what lies before each.
	load := func(to []int64, at int) {
		f.load(to, data[at*f.width:])
		for i, x := range to {
			to[i] = m.linear(x)
		}
	}
	var lags []int
	for lag := 1; lag <= 64; lag++ {
		lags = append(lags, lag)
	}
	if cols > 1 {
		for rows := 1; rows <= 2048 && rows*cols <= min(n/4, MaxPeriod); rows++ {
			lags = append(lags, rows*cols)
		}
	}
	const runs, length = 24, 256
	here, there := make([]int64, length), make([]int64, length)
	best, found := 0.0, 0
	sums := make([][3]float64, len(lags))
	for r := range runs {
		at := (n - length) * (r + 1) / (runs + 1)
		load(here, at)
		for i, lag := range lags {
			if lag > at {
				break
			}
			load(there, at-lag)
			s := &sums[i]
			for k := range here {
				x, y := float64(here[k]), float64(there[k])
				s[0] += float64(x * y)
				s[1] += float64(x * x)
				s[2] += float64(y * y)
			}
		}
	}
	for i, s := range sums {
		if s[1] == 0 || s[2] == 0 || s[0] < 0 {
			continue
		}
		// Nearer is cheaper: a longer period must explain clearly more.
		if c := s[0] * s[0] / s[1] / s[2]; c > best*1.05 {
			best, found = c, lags[i]
		}
	}
	if best < leastResemblance {
		return 0
	}
	return found
}

// leastResemblance is the part of the variance that a period must explain.
const leastResemblance = 0.05
