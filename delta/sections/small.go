package sections

// kernel weighs the neighbours of a value at distances 1 to 4.
var kernel = [4]int{4, 3, 2, 1}

// spike says whether a byte's count is no matter of its neighbours': zero in
// pruned arrays, and both ends of the range in clipped ones.
func spike(b int) bool { return b == 0 || b == 127 || b == 128 || b == 129 }

// small is the cost of elements of one byte: each value as likely as the
// values around it say, itself not asked. Text, whose neighbouring letters are
// of different frequency, gains nothing from that.
func (s *scanner) small(t *tally) int {
	h := &t.plane[0]
	spikes, rest, sum := 0, 0, 0
	for b, c := range h {
		if spike(b) {
			spikes += int(c)
			sum -= int(s.logs.nlog[c])
			if c > 0 && int(c) < t.n {
				sum += 2*unit + int(s.logs.log[t.n])/2
			}
		} else {
			rest += int(c)
		}
	}
	sum += int(s.logs.nlog[t.n]) - int(s.logs.nlog[rest])
	// The values on the likelier side tell, because pruned arrays have a gap around
	// zero, or the value of the other sign.
	var near [256]int
	total := 0
	for b := range h {
		if spike(b) {
			continue
		}
		var below, above int
		for d, w := range kernel {
			if v := (b + d + 1) & 255; !spike(v) {
				above += w * int(h[v])
			}
			if v := (b - d - 1) & 255; !spike(v) {
				below += w * int(h[v])
			}
		}
		near[b] = max(above, below, 10*int(h[-b&255])) + 1
		total += near[b]
	}
	all := s.logs.of(max(total, 1))
	for b, c := range h {
		if c > 0 && !spike(b) {
			sum += int(c) * int(all-s.logs.of(near[b]))
		}
	}
	return min(sum, s.mirrored(t), t.n*8*unit)
}

// mirrored is the cost of elements of one byte of which as many are negative as
// positive: entropy of the magnitude, and a bit for the sign. Text has none.
func (s *scanner) mirrored(t *tally) int {
	h := &t.plane[0]
	var sizes [129]uint16
	for b := range 128 {
		sizes[b] = h[b] + h[-b&255]
	}
	sizes[0], sizes[128] = h[0], h[128]
	return s.logs.entropy(s.logs.total(sizes[:])) + (t.n-int(h[0]))*unit
}
