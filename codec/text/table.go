package text

// A bucket holds the states of one context within half a byte: the check of the
// context, and the states of the 1, 2, 4, 8 nodes of a binary tree of four bits.
type bucket [16]uint8

// table holds buckets by hash.
type table struct {
	buckets []bucket
	mask    uint32
}

func newTable(bits int) table {
	return table{buckets: make([]bucket, 1<<bits), mask: 1<<bits - 1}
}

// get returns the bucket of a hash: the one that has its check, else, wiped, the
// one least used of those that it may lie in.
func (t *table) get(hash uint32) *bucket {
	check := uint8(hash >> 24)
	i := (hash * 0x2545F491) >> 4 & t.mask
	a := &t.buckets[i]
	if a[0] == check {
		return a
	}
	b := &t.buckets[i^1]
	if b[0] == check {
		return b
	}
	c := &t.buckets[i^2]
	if c[0] == check {
		return c
	}
	// The first state sees every bit of the bucket.
	na, nb, nc := seen(a[1]), seen(b[1]), seen(c[1])
	if nb < na {
		a, na = b, nb
	}
	if nc < na {
		a = c
	}
	*a = bucket{check}
	return a
}

func seen(state uint8) uint8 { return history8.n0[state] + history8.n1[state] }
