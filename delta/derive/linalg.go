package derive

import "math"

// axpy adds a·x to y.
func axpy(a float64, x, y []float64) {
	x = x[:len(y)]
	for i := range y {
		y[i] += float64(a * x[i])
	}
}

func dot(x, y []float64) float64 {
	y = y[:len(x)]
	var a, b, c, d float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		a += float64(x[i] * y[i])
		b += float64(x[i+1] * y[i+1])
		c += float64(x[i+2] * y[i+2])
		d += float64(x[i+3] * y[i+3])
	}
	for ; i < len(x); i++ {
		a += float64(x[i] * y[i])
	}
	return (a + b) + (c + d)
}

// orthonormalise makes the vectors orthonormal by modified Gram-Schmidt, twice
// for each ("twice is enough", Giraud et al. 2005), and returns R with
// old[k] = Σ_l R[l][k]·new[l]. A vector that depends on those before it becomes
// zero.
func orthonormalise(q [][]float64) (r [][]float64) {
	r = square(len(q))
	for k := range q {
		before := math.Sqrt(dot(q[k], q[k]))
		for range 2 {
			for l := range k {
				c := dot(q[l], q[k])
				r[l][k] += c
				axpy(-c, q[l], q[k])
			}
		}
		norm := math.Sqrt(dot(q[k], q[k]))
		if norm <= before*1e-13 || norm == 0 {
			clear(q[k])
			continue
		}
		r[k][k] = norm
		for i := range q[k] {
			q[k][i] /= norm
		}
	}
	return r
}

func square(n int) [][]float64 {
	m := make([][]float64, n)
	backing := make([]float64, n*n)
	for i := range m {
		m[i] = backing[i*n : (i+1)*n]
	}
	return m
}

// svd decomposes the square matrix a into left·diag(s)·rightᵀ, s falling, by
// one-sided Jacobi rotations (Hestenes 1958; Demmel and Veselić 1992), which
// find small singular values to full relative accuracy. left[k] and right[k]
// are the k-th vectors.
func svd(a [][]float64) (left [][]float64, s []float64, right [][]float64) {
	n := len(a)
	left, right = square(n), square(n) // vectors: columns of a, and of V
	for i := range n {
		right[i][i] = 1
		for j := range n {
			left[j][i] = a[i][j]
		}
	}
	const sweeps = 60
	for range sweeps {
		turned := false
		for p := range n {
			for q := p + 1; q < n; q++ {
				alpha, beta, gamma := dot(left[p], left[p]), dot(left[q], left[q]), dot(left[p], left[q])
				if gamma == 0 || math.Abs(gamma) <= 1e-15*math.Sqrt(alpha*beta) {
					continue
				}
				turned = true
				zeta := (beta - alpha) / (2 * gamma)
				t := 1 / (math.Abs(zeta) + math.Sqrt(1+float64(zeta*zeta)))
				if zeta < 0 {
					t = -t
				}
				c := 1 / math.Sqrt(1+float64(t*t))
				rotate(left[p], left[q], c, float64(c*t))
				rotate(right[p], right[q], c, float64(c*t))
			}
		}
		if !turned {
			break
		}
	}
	s = make([]float64, n)
	for k := range n {
		s[k] = math.Sqrt(dot(left[k], left[k]))
		if s[k] > 0 {
			for i := range left[k] {
				left[k][i] /= s[k]
			}
		}
	}
	for k := range n { // selection sort: n is small
		best := k
		for l := k + 1; l < n; l++ {
			if s[l] > s[best] {
				best = l
			}
		}
		s[k], s[best] = s[best], s[k]
		left[k], left[best] = left[best], left[k]
		right[k], right[best] = right[best], right[k]
	}
	return left, s, right
}

func rotate(x, y []float64, c, s float64) {
	for i, a := range x {
		b := y[i]
		x[i] = float64(c*a) - float64(s*b)
		y[i] = float64(s*a) + float64(c*b)
	}
}

// combine returns Σ_l c[k][l]·v[l] for each k.
func combine(c, v [][]float64) [][]float64 {
	out := make([][]float64, len(c))
	for k := range c {
		out[k] = make([]float64, len(v[0]))
		for l := range v {
			axpy(c[k][l], v[l], out[k])
		}
	}
	return out
}

// solve solves the symmetric positive definite system whose lower triangle is
// packed row by row in a, in place of b, by Cholesky; a is overwritten. False:
// not positive definite, b is lost.
func solve(a, b []float64) bool {
	n := len(b)
	for i, ri := 0, 0; i < n; i++ {
		for j, rj := 0, 0; j <= i; j++ {
			sum := a[ri+j]
			for k := range j {
				sum -= float64(a[ri+k] * a[rj+k])
			}
			if i == j {
				if !(sum > 1e-13*a[ri+i]) || sum == 0 {
					return false
				}
				a[ri+i] = math.Sqrt(sum)
			} else {
				a[ri+j] = sum / a[rj+j]
			}
			rj += j + 1
		}
		ri += i + 1
	}
	for i, ri := 0, 0; i < n; i++ {
		for k := range i {
			b[i] -= float64(a[ri+k] * b[k])
		}
		b[i] /= a[ri+i]
		ri += i + 1
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			b[i] -= float64(a[k*(k+1)/2+i] * b[k])
		}
		b[i] /= a[i*(i+1)/2+i]
	}
	return true
}
