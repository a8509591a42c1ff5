package synth

import (
	"crypto/sha256"
	"math"
	"math/rand/v2"
)

// random is a stream of numbers that is the same on every machine. It is not
// safe for concurrent use.
type random struct {
	*rand.ChaCha8
}

// newRandom returns the stream that belongs to a name.
func newRandom(name string) random {
	return random{rand.NewChaCha8(sha256.Sum256([]byte("dunlin synth 1: " + name)))}
}

// gauss returns a number of mean 0 and variance 1, nearly normal (at most 6):
// the sum of 12 uniform ones (Irwin-Hall). It takes integers because the
// logarithms and exponentials of other methods differ between architectures in
// the last bit.
func (r random) gauss() float64 {
	var sum int64
	for range 6 {
		u := r.Uint64()
		sum += int64(u>>32) + int64(u&math.MaxUint32)
	}
	return float64(sum-6*(1<<32)) / (1 << 32)
}

// rough is gauss in half the time, in steps of 2^-16: for weights that nobody
// looks at closely.
func (r random) rough() float64 {
	var sum int64
	for range 3 {
		u := r.Uint64()
		sum += int64(u&0xffff) + int64(u>>16&0xffff) + int64(u>>32&0xffff) + int64(u>>48)
	}
	return float64(sum-6*(1<<16)) / (1 << 16)
}

// below returns a number from 0 to n-1, n at least 1; its bias is under n/2^64.
func (r random) below(n int) int {
	return int(r.Uint64() % uint64(n))
}

// chance says true with probability 1/n.
func (r random) chance(n int) bool { return r.below(n) == 0 }

// perm returns the numbers 0 to n-1 in random order.
func (r random) perm(n int) []int {
	p := make([]int, n)
	for i := range p {
		j := r.below(i + 1)
		p[i], p[j] = p[j], i
	}
	return p
}

// bytes returns n random bytes.
func (r random) bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = r.Read(b) // never fails
	return b
}
