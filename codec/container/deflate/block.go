package deflate

// lenOrder is the order in which the lengths of the third alphabet are written
// (RFC 1951, 3.2.7).
var lenOrder = [lenCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// block collects symbols until it is written, in the shortest of three ways.
type block struct {
	limit   int // symbols at which it is full
	n       int
	matches int
	symbols [1 << 15]uint32 // distance << 8 | length - minMatch; distance 0: a literal

	lit, dist, lens tree
}

func (b *block) init() {
	litExtra := make([]uint8, litCodes)
	for i, l := range fixed.length {
		litExtra[literals+1+i] = l.extra
	}
	distExtra := make([]uint8, distCodes)
	for i, d := range fixed.dist {
		distExtra[i] = d.extra
	}
	lenExtra := make([]uint8, lenCodes)
	lenExtra[repeat], lenExtra[zeros], lenExtra[manyZeros] = 2, 3, 7
	b.lit.init(maxBits, litExtra, fixed.lit[:])
	b.dist.init(maxBits, distExtra, fixed.distance[:])
	b.lens.init(maxLenBits, lenExtra, nil)
}

func (b *block) clear() {
	b.n, b.matches = 0, 0
	b.lit.clear()
	b.dist.clear()
	b.lens.clear()
	b.lit.freq[endOfBlock] = 1
}

// literal adds a byte and says whether the block is full.
func (b *block) literal(c byte) bool {
	b.symbols[b.n] = uint32(c)
	b.n++
	b.lit.freq[c]++
	return b.n == b.limit
}

// match adds a match and says whether the block is full.
func (b *block) match(distance, length int) bool {
	b.symbols[b.n] = uint32(distance)<<8 | uint32(length-minMatch)
	b.n++
	b.matches++
	b.lit.freq[literals+1+int(fixed.lengthOf[uint8(length-minMatch)])]++
	b.dist.freq[fixed.distCode(uint32(distance-1))]++
	return b.n == b.limit
}

// ripe says whether ending the block here, after length bytes of input, looks
// profitable, as gzip(1) guesses: few matches, and half the input saved.
func (b *block) ripe(length int) bool {
	bits := 8 * b.n
	for i, d := range fixed.dist {
		bits += int(b.dist.freq[i]) * (5 + int(d.extra))
	}
	return b.matches < b.n/2 && bits/8 < length/2
}

// write writes the block and starts the next. Raw is its input, of length
// bytes, nil if that has left the window.
func (b *block) write(w *bitWriter, raw []byte, length int, last bool) {
	var c cost
	b.lit.build(&c)
	b.dist.build(&c)
	count := b.lengths(&c)
	own, known := (c.own+3+7)/8, (c.fixed+3+7)/8
	var end uint64
	if last {
		end = 1
	}
	switch {
	case raw != nil && uint64(length)+4 <= min(own, known):
		w.put(end, 3)
		w.align()
		w.put(uint64(length)|uint64(^uint16(length))<<16, 32)
		w.write(raw)
	case known <= own:
		w.put(1<<1|end, 3)
		b.body(w, fixed.lit[:], fixed.distance[:])
	default:
		w.put(2<<1|end, 3)
		b.header(w, count)
		b.body(w, b.lit.codes[:], b.dist.codes[:])
	}
	if last {
		w.align()
	}
	b.clear()
}

// body puts the symbols.
func (b *block) body(w *bitWriter, lit, dist []code) {
	lit, dist = lit[:litCodes], dist[:distCodes]
	for _, s := range b.symbols[:b.n] {
		if s < 1<<8 {
			c := lit[s]
			w.put(uint64(c.bits), uint(c.len))
			continue
		}
		length, distance := uint8(s), s>>8-1
		i := fixed.lengthOf[length]
		c, from := lit[literals+1+int(i)], fixed.length[i]
		v, n := uint64(c.bits), uint(c.len)
		v |= uint64(uint16(length)-from.base) << n
		n += uint(from.extra)
		j := fixed.distCode(distance)
		c, from = dist[j], fixed.dist[j]
		v |= uint64(c.bits) << n
		n += uint(c.len)
		v |= uint64(distance-uint32(from.base)) << n
		w.put(v, n+uint(from.extra)) // at most 15+5+15+13 bits
	}
	w.put(uint64(lit[endOfBlock].bits), uint(lit[endOfBlock].len))
}

// lengths builds the code that the other codes' lengths are written in, and
// returns how many of its own lengths are.
func (b *block) lengths(c *cost) int {
	count := func(symbol, _, times int) { b.lens.freq[symbol] += uint32(times) }
	b.lit.runs(count)
	b.dist.runs(count)
	b.lens.build(c)
	n := lenCodes
	for n > 4 && b.lens.codes[lenOrder[n-1]].len == 0 {
		n--
	}
	c.own += uint64(3*n + 5 + 5 + 4)
	return n
}

// header puts the lengths of the codes.
func (b *block) header(w *bitWriter, count int) {
	w.put(uint64(b.lit.last+1-257), 5)
	w.put(uint64(b.dist.last+1-1), 5)
	w.put(uint64(count-4), 4)
	for _, symbol := range lenOrder[:count] {
		w.put(uint64(b.lens.codes[symbol].len), 3)
	}
	put := func(symbol, value, times int) {
		c := b.lens.codes[symbol]
		for range times {
			w.put(uint64(c.bits)|uint64(value)<<c.len, uint(c.len)+uint(b.lens.extra[symbol]))
		}
	}
	b.lit.runs(put)
	b.dist.runs(put)
}

// runs calls emit with the symbols that write the tree's lengths: a symbol,
// what its extra bits say, and how often it is written.
func (t *tree) runs(emit func(symbol, value, times int)) {
	previous, run := -1, 0
	for i := 0; i <= t.last; i++ {
		length, next := int(t.codes[i].len), -1
		if i < t.last {
			next = int(t.codes[i+1].len)
		}
		run++
		longest, shortest := 6, 3
		switch {
		case length == 0:
			longest = 138
		case length != previous:
			longest, shortest = 7, 4 // the first is written, the rest repeats it
		}
		if length == next && run < longest {
			continue
		}
		switch {
		case run < shortest:
			emit(length, 0, run)
		case length == 0 && run <= 10:
			emit(zeros, run-3, 1)
		case length == 0:
			emit(manyZeros, run-11, 1)
		case length != previous:
			emit(length, 0, 1)
			emit(repeat, run-4, 1)
		default:
			emit(repeat, run-3, 1)
		}
		previous, run = length, 0
	}
}
