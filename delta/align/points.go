package align

import "math"

// points are units as vectors: point i is v[i·dims:][:dims].
type points struct {
	dims int
	v    []float32
}

func newPoints(n, dims int) points { return points{dims: dims, v: make([]float32, n*dims)} }

func (p points) len() int           { return len(p.v) / p.dims }
func (p points) at(i int) []float32 { return p.v[i*p.dims:][:p.dims] }

// level shifts and scales every dimension alike for both sets, so that
// together they have mean 0 and variance 1; a constant one becomes 0.
func level(old, now points) {
	if old.dims == 0 {
		return
	}
	n := float64(old.len() + now.len())
	for d := range old.dims {
		var sum, squares float64
		for _, p := range []points{old, now} {
			for at := d; at < len(p.v); at += p.dims {
				sum += float64(p.v[at])
			}
		}
		mean := sum / n
		for _, p := range []points{old, now} {
			for at := d; at < len(p.v); at += p.dims {
				x := float64(p.v[at]) - mean
				squares += float64(x * x)
			}
		}
		scale := 0.0
		if squares > 0 {
			scale = 1 / math.Sqrt(squares/n)
		}
		if math.IsInf(scale, 0) {
			scale = 0
		}
		for _, p := range []points{old, now} {
			for at := d; at < len(p.v); at += p.dims {
				p.v[at] = float32(float64((float64(p.v[at]) - mean) * scale))
			}
		}
	}
}

// lengths returns half of every point's squared length.
func (p points) lengths() []float32 {
	l := make([]float32, p.len())
	for i := range l {
		for _, x := range p.at(i) {
			l[i] += float32(x * x)
		}
		l[i] /= 2
	}
	return l
}

// apart is |a-b|² ÷ (|a|²+|b|²) of points with this product and these halves
// of squared lengths; 0 for two points at the origin.
func apart(dot, a, b float32) float32 {
	if a+b == 0 {
		return 0
	}
	return 1 - dot/(a+b)
}

// dot is the product of two points.
func dot(x, y []float32) (sum float32) {
	y = y[:len(x)]
	for d, v := range x {
		sum += float32(v * y[d])
	}
	return sum
}

// dot4 is dot of x with each of the four points in y; the sums are the same.
func dot4(to *[4]float32, x, y []float32) {
	n := len(x)
	y0, y1, y2, y3 := y[:n], y[n:][:n], y[2*n:][:n], y[3*n:][:n]
	var s0, s1, s2, s3 float32
	for d, v := range x {
		s0 += float32(v * y0[d])
		s1 += float32(v * y1[d])
		s2 += float32(v * y2[d])
		s3 += float32(v * y3[d])
	}
	to[0], to[1], to[2], to[3] = s0, s1, s2, s3
}
