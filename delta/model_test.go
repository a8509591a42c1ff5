package delta_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// modelBytes returns a file that looks like a small model: text, then weights
// drawn with the seed 1 and moved a little for other seeds, then text.
func modelBytes(seed uint64, n int) []byte {
	base, move := rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(seed, 2))
	out := []byte("a header of a model that nobody knows, version 1\n")
	for range n {
		w := base.NormFloat64() * 0.05
		if seed > 1 {
			w += move.NormFloat64() * 5e-5
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(w)))
	}
	return append(out, "and a trailer, which is text again, as such files have them"...)
}
