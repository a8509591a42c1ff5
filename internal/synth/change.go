package synth

import (
	"cmp"
	"math"
	"slices"
)

// noise adds a normal error of the given ratio to each tensor's rms.
func noise(tensors []tensor, ratio float64, seed string) []tensor {
	r := newRandom("noise " + seed)
	return each(tensors, func(t *tensor) { t.noise(ratio, r) })
}

func (t *tensor) noise(ratio float64, r random) {
	scale := float64(ratio * t.rms())
	for i, v := range t.data {
		t.data[i] = float32(float64(v) + float64(scale*r.gauss()))
	}
}

// head adds noise to the named tensors alone.
func head(tensors []tensor, ratio float64, seed string, names ...string) []tensor {
	r := newRandom("head " + seed)
	return each(tensors, func(t *tensor) {
		if slices.Contains(names, t.name) {
			t.noise(ratio, r)
		}
	})
}

// scatter changes one weight in n by about a tenth of the rms: with that the
// general tools need what the README says of them.
func scatter(tensors []tensor, n int, seed string) []tensor {
	r := newRandom("scatter " + seed)
	return each(tensors, func(t *tensor) {
		scale := float64(0.1 * t.rms())
		for i, v := range t.data {
			if r.chance(n) {
				t.data[i] = float32(float64(v) + float64(scale*r.gauss()))
			}
		}
	})
}

// prune sets the percent of least magnitude in each matrix to zero.
func prune(tensors []tensor, percent int) []tensor {
	return each(tensors, func(t *tensor) {
		if len(t.shape) < 2 {
			return
		}
		order := make([]int, len(t.data))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			return cmp.Compare(math.Abs(float64(t.data[a])), math.Abs(float64(t.data[b])))
		})
		for _, i := range order[:len(order)*percent/100] {
			t.data[i] = 0
		}
	})
}

// adaptRank is the rank of low-rank updates, as adapters usually have it.
const adaptRank = 8

// adapt adds the product of two factors to each matrix, ratio of its rms. The
// factors are called NAME.lora_B, rows by rank, and NAME.lora_A, rank by
// columns. The sum over the rank is taken in f32, first to last, and added to
// the weight in f32; or if wide, in f64 and rounded once.
func adapt(tensors []tensor, ratio float64, wide bool, seed string) (out, factors []tensor) {
	r := newRandom("adapt " + seed)
	out = each(tensors, func(t *tensor) {
		rows, cols := t.rowsCols()
		if min(rows, cols) < adaptRank {
			return
		}
		a := tensor{name: t.name + ".lora_A", shape: []int{adaptRank, cols}, data: make([]float32, adaptRank*cols)}
		b := tensor{name: t.name + ".lora_B", shape: []int{rows, adaptRank}, data: make([]float32, rows*adaptRank)}
		for i := range a.data {
			a.data[i] = float32(r.gauss() / math.Sqrt(adaptRank))
		}
		scale := float64(ratio * t.rms())
		for i := range b.data {
			b.data[i] = float32(float64(scale * r.gauss()))
		}
		factors = append(factors, b, a)
		for i := range rows {
			for j := range cols {
				w := &t.data[i*cols+j]
				var sum float32
				var sumWide float64
				for k := range adaptRank {
					u, v := b.data[i*adaptRank+k], a.data[k*cols+j]
					sum += float32(u * v)
					sumWide += float64(float64(u) * float64(v))
				}
				if wide {
					*w = float32(float64(*w) + sumWide)
				} else {
					*w += sum
				}
			}
		}
	})
	return out, factors
}

// grow appends n slices of new weights to an axis of the named tensors; axis -1
// is the last.
func grow(tensors []tensor, axis, n int, seed string, names ...string) []tensor {
	r := newRandom("grow " + seed)
	return each(tensors, func(t *tensor) {
		if !slices.Contains(names, t.name) {
			return
		}
		at, scale := axis, t.rms()
		if at < 0 {
			at += len(t.shape)
		}
		outer, inner := 1, 1
		for i, d := range t.shape {
			if i < at {
				outer *= d
			} else {
				inner *= d
			}
		}
		more := inner / t.shape[at] * n
		data := make([]float32, 0, outer*(inner+more))
		for i := range outer {
			data = append(data, t.data[i*inner:(i+1)*inner]...)
			for range more {
				data = append(data, float32(float64(scale*r.gauss())))
			}
		}
		t.data = data
		t.shape[at] += n
	})
}
