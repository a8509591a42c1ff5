package codec

// The sample that compressible takes: probeRuns runs of probeBytes, evenly
// spread. Drawing 4 KiB costs a hundredth of hashing the chunk.
const (
	probeRuns  = 16
	probeBytes = 256
)

// compressible says whether a sample of chunk has a collision entropy
// (Rényi's of order 2) under 4 bits a byte, as text, pruned weights and padding
// have; dense weights have more, f32 about 6. In integers, because rounding differs
// between architectures.
func compressible(chunk []byte) bool {
	var counts [256]uint64
	var total uint64
	add := func(run []byte) {
		total += uint64(len(run))
		for _, b := range run {
			counts[b]++
		}
	}
	if len(chunk) <= probeRuns*probeBytes {
		add(chunk)
	} else {
		step := (len(chunk) - probeBytes) / (probeRuns - 1)
		for run := range probeRuns {
			add(chunk[run*step:][:probeBytes])
		}
	}
	var squares uint64
	for _, n := range counts {
		squares += n * n
	}
	return squares*16 > total*total
}
