package deflate

// tree is a Huffman code under construction. Which of several optimal codes
// comes out depends on the order in which equal frequencies are joined, and
// which lengths are cut on how that is repaired, so both follow zlib's trees.c
// to the letter: a binary heap in the order (frequency, height), symbols
// first pushed in order, and joined nodes laid down from the rarest up.
type tree struct {
	symbols int
	limit   uint8   // longest code
	extra   []uint8 // extra bits of a symbol
	fixed   []code  // the code to compare with, nil: none

	last  int // highest symbol that has a code
	freq  [2*litCodes + 1]uint32
	codes [litCodes]code

	dad    [2*litCodes + 1]uint16
	depth  [2*litCodes + 1]uint8
	length [2*litCodes + 1]uint8
	heap   [2*litCodes + 1]uint16 // 1 to size: the heap; from sorted: done
	size   int
	sorted int
}

// cost is the length in bits of a block's symbols, coded both ways.
type cost struct{ own, fixed uint64 }

func (t *tree) init(limit uint8, extra []uint8, fixed []code) {
	t.symbols, t.limit, t.extra, t.fixed = len(extra), limit, extra, fixed
}

func (t *tree) clear() { clear(t.freq[:t.symbols]) }

// build makes codes for freq, and adds their bits to c.
func (t *tree) build(c *cost) {
	t.size, t.sorted, t.last = 0, len(t.heap), -1
	for s := range t.symbols {
		t.codes[s] = code{}
		if t.freq[s] > 0 {
			t.size++
			t.heap[t.size], t.depth[s], t.last = uint16(s), 0, s
		}
	}
	// Some decoders want two codes at least; those added here are never put.
	for t.size < 2 {
		s := 0
		if t.last < 2 {
			t.last++
			s = t.last
		}
		t.size++
		t.heap[t.size], t.depth[s], t.freq[s] = uint16(s), 0, 1
		c.own--
		if t.fixed != nil {
			c.fixed -= uint64(t.fixed[s].len)
		}
	}
	for k := t.size / 2; k >= 1; k-- {
		t.sift(k)
	}
	for node := t.symbols; ; node++ {
		a := t.heap[1]
		t.heap[1] = t.heap[t.size]
		t.size--
		t.sift(1)
		b := t.heap[1]
		t.heap[t.sorted-1], t.heap[t.sorted-2] = a, b
		t.sorted -= 2
		t.freq[node] = t.freq[a] + t.freq[b]
		t.depth[node] = max(t.depth[a], t.depth[b]) + 1
		t.dad[a], t.dad[b] = uint16(node), uint16(node)
		t.heap[1] = uint16(node)
		t.sift(1)
		if t.size < 2 {
			break
		}
	}
	t.sorted--
	t.heap[t.sorted] = t.heap[1]
	t.measure(c)
	assign(t.codes[:t.last+1])
}

// before orders the heap.
func (t *tree) before(a, b uint16) bool {
	return t.freq[a] < t.freq[b] || t.freq[a] == t.freq[b] && t.depth[a] <= t.depth[b]
}

// sift moves the node at k down to its place.
func (t *tree) sift(k int) {
	v := t.heap[k]
	for j := 2 * k; j <= t.size; j *= 2 {
		if j < t.size && t.before(t.heap[j+1], t.heap[j]) {
			j++
		}
		if t.before(v, t.heap[j]) {
			break
		}
		t.heap[k] = t.heap[j]
		k = j
	}
	t.heap[k] = v
}

// measure finds the length of each symbol's code, none above the limit.
func (t *tree) measure(c *cost) {
	var count [maxBits + 1]int
	over := 0
	root := t.heap[t.sorted]
	t.length[root] = 0
	for _, n := range t.heap[t.sorted+1:] {
		length := t.length[t.dad[n]] + 1
		if length > t.limit {
			length = t.limit
			over++
		}
		t.length[n] = length
		if int(n) >= t.symbols {
			continue
		}
		count[length]++
		t.codes[n].len = length
		freq, extra := uint64(t.freq[n]), uint64(t.extra[n])
		c.own += freq * (uint64(length) + extra)
		if t.fixed != nil {
			c.fixed += freq * (uint64(t.fixed[n].len) + extra)
		}
	}
	if over > 0 {
		t.shorten(c, &count, over)
	}
}

// shorten moves leaves up to make room for those over the limit, and gives the
// lengths out again, the longest to the rarest.
func (t *tree) shorten(c *cost, count *[maxBits + 1]int, over int) {
	for ; over > 0; over -= 2 {
		length := t.limit - 1
		for count[length] == 0 {
			length--
		}
		count[length]--
		count[length+1] += 2
		count[t.limit]--
	}
	at := len(t.heap)
	for length := t.limit; length > 0; length-- {
		for n := count[length]; n > 0; {
			at--
			s := t.heap[at]
			if int(s) >= t.symbols {
				continue
			}
			c.own += (uint64(length) - uint64(t.codes[s].len)) * uint64(t.freq[s]) // modulo 2^64 where it shrinks
			t.codes[s].len = length
			n--
		}
	}
}
