package sections

const (
	// reachBytes is how far from where blocks differ the border is looked for.
	reachBytes = 2 * blockBytes
	// learnBytes is how much of an array on each side of a border is counted.
	learnBytes = 4096
	// edgeBits is what it costs that an array has bytes before or behind it in
	// the range: little, because headers are common.
	edgeBits = 6
	// strangeBits is what a byte costs that nothing is known about.
	strangeBits = 8
)

// uneven is what a border costs that lies at no multiple of 64, 16 or 4 of the
// file: arrays mostly begin at some.
func uneven(place int64) int32 {
	switch {
	case place%4 != 0:
		return 6 * unit
	case place%16 != 0:
		return 3 * unit
	case place%64 != 0:
		return unit
	}
	return 0
}

// borders moves the beginnings of runs, which are blocks' now, to where the
// bytes say, and finds what at the range's ends is no array.
func (s *scanner) borders(runs []run) ([]run, error) {
	out := make([]run, 0, len(runs)+2)
	begin := int64(0) // of the run before, exactly
	for i, r := range runs {
		end := s.length
		if i+1 < len(runs) {
			end = runs[i+1].at
		}
		at := int64(0)
		var err error
		switch {
		case i > 0:
			at, err = s.border(runs[i-1].state, r.state, begin, r.at, end)
		case r.state > other+1:
			at, err = s.border(other, r.state, 0, 0, end)
			if at > 0 {
				out = append(out, run{0, other})
			}
		}
		if err != nil {
			return nil, err
		}
		out = append(out, run{at, r.state})
		begin = at
	}
	if last := len(runs) - 1; runs[last].state > other+1 {
		at, err := s.border(runs[last].state, other, begin, s.length, s.length)
		if err != nil {
			return nil, err
		}
		if at < s.length {
			out = append(out, run{at, other})
		}
	}
	return out, nil
}

// border returns the place near at where a run of state a, that begins at begin,
// best gives way to one of state b, that ends at end. At either end of the range
// one of them is empty.
func (s *scanner) border(a, b uint8, begin, at, end int64) (int64, error) {
	sa, sb := s.table[a], s.table[b]
	// Between low and high anything may be; what lies beyond is sure.
	low, high := max(at-reachBytes, at-(at-begin)/2), min(at+reachBytes, at+(end-at)/2)
	from, to := max(low-learnBytes, begin), min(high+learnBytes, end)
	from, low = min(sa.align(from), low), min(sa.align(low), at)
	high = max(sb.align(high)-int64(sb.width), at)
	data, err := s.read(from, int(to-from))
	if err != nil {
		return at, err
	}
	sureA, sureB := int(low-from), int(high-from)
	var spellA, spellB speller
	s.learn(&spellA, sa, data[:sureA])
	s.learn(&spellB, sb, data[sureB:])
	before, behind := make([]int32, sureB-sureA+1), make([]int32, sureB-sureA+1)
	spellA.forward(before, data[sureA:sureB])
	spellB.backward(behind, data[sureA:sureB])
	best, least := 0, int32(0)
	for i := range before {
		place := low + int64(i)
		c := before[i] + behind[i]
		switch {
		case begin < at && at < end:
			c += uneven(s.offset + place)
		case place != at:
			// A header is of any length, but mostly of whole words.
			c += edgeBits * unit
			if (s.offset+place)%4 != 0 {
				c += edgeBits * unit
			}
		}
		if i == 0 || c < least {
			best, least = i, c
		}
	}
	return low + int64(best), nil
}

// forward sets sum[i] to what data[:i] costs, where an element begins at data[0].
func (sp *speller) forward(sum []int32, data []byte) {
	w := sp.state.width
	for i := 1; i < len(sum); i++ {
		if i%w == 0 {
			sum[i] = sum[i-w] + sp.spell(data[i-w:i])
		} else {
			sum[i] = sum[i-1] + 8*unit
		}
	}
}

// backward sets sum[i] to what data[i:] costs, where an element ends at its end.
func (sp *speller) backward(sum []int32, data []byte) {
	w := sp.state.width
	for i := len(data) - 1; i >= 0; i-- {
		if (len(data)-i)%w == 0 {
			sum[i] = sum[i+w] + sp.spell(data[i:i+w])
		} else {
			sum[i] = sum[i+1] + 8*unit
		}
	}
}
