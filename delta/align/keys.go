package align

import "context"

// keys are one number for each row and one for each column, equal for units of
// equal elements in any order.
type keys [2][]uint64

// keysOf hashes the whole matrix: a unit's key is the sum of its elements'
// hashes, which no re-ordering of the other axis changes.
func keysOf(ctx context.Context, m *Matrix) (keys, error) {
	k := keys{make([]uint64, m.Rows), make([]uint64, m.Cols)}
	w := m.Class.Width()
	err := m.eachRow(ctx, func(i int, data []byte) {
		sum, at := uint64(0), 0
		for j := range k[cols] {
			h := uint64(0)
			for range m.Block {
				h = mix(h ^ bitsAt(data, at, w))
				at++
			}
			sum += h
			k[cols][j] += h
		}
		k[rows][i] = sum
	})
	return k, err
}

// mix scatters the bits of x: the finaliser of SplitMix64 (Steele, Lea, Flood,
// "Fast splittable pseudorandom number generators", 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
