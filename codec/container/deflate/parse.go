package deflate

// encodeGreedy takes each match as it comes: levels 1 to 3 (deflate_fast).
func (e *Encoder) encodeGreedy() error {
	for {
		if err := e.fill(); err != nil {
			return err
		}
		if e.lookahead == 0 {
			return e.flush(true)
		}
		length, at, candidate := 0, 0, 0
		if e.lookahead >= minMatch {
			candidate = e.index(e.start)
		}
		if e.reachable(candidate) {
			length, at = e.longest(candidate, minMatch-1)
		}
		var full bool
		if length >= minMatch {
			full = e.match(e.start-at, length)
			e.lookahead -= length
			end := e.start + length
			if length <= e.lazy && e.lookahead >= minMatch {
				for e.start++; e.start < end; e.start++ {
					e.index(e.start)
				}
			}
			e.start = end
		} else {
			full = e.literal(e.window[e.start])
			e.lookahead--
			e.start++
		}
		if full {
			if err := e.flush(false); err != nil {
				return err
			}
		}
	}
}

// encodeLazy takes a match only if none that is longer starts a byte later:
// levels 4 to 9 (deflate_slow). At every step, the byte before start is still
// to be coded if waiting, and begins a match if one of minMatch is at hand.
func (e *Encoder) encodeLazy() error {
	waiting := false
	length, distance := minMatch-1, 0
	for {
		if e.lookahead < minLookahead {
			if err := e.fill(); err != nil {
				return err
			}
			if e.lookahead == 0 {
				break
			}
		}
		candidate := 0
		if e.lookahead >= minMatch {
			candidate = e.index(e.start)
		}
		before, reach := length, distance
		length = minMatch - 1
		if before < e.lazy && e.reachable(candidate) {
			var at int
			length, at = e.longest(candidate, before)
			distance = e.start - at
			if length == minMatch && distance > tooFar {
				length = minMatch - 1
			}
		}
		var full bool
		switch {
		case before >= minMatch && length <= before:
			full = e.match(reach, before)
			end := e.start - 1 + before
			lastIndexed := e.start + e.lookahead - minMatch
			e.lookahead -= before - 1
			for e.start++; e.start < end; e.start++ {
				if e.start <= lastIndexed {
					e.index(e.start)
				}
			}
			waiting, length = false, minMatch-1
		case waiting:
			full = e.literal(e.window[e.start-1])
			if full {
				if err := e.flush(false); err != nil {
					return err
				}
				full = false
			}
			e.start++
			e.lookahead--
		default:
			waiting = true
			e.start++
			e.lookahead--
		}
		if full {
			if err := e.flush(false); err != nil {
				return err
			}
		}
	}
	if waiting {
		e.literal(e.window[e.start-1])
	}
	return e.flush(true)
}

// match and literal add a symbol and say whether the block ends with it.
func (e *Encoder) match(distance, length int) bool {
	return e.block.match(distance, length) || e.ripe()
}

func (e *Encoder) literal(c byte) bool { return e.block.literal(c) || e.ripe() }

func (e *Encoder) ripe() bool {
	return e.early && e.block.n&0xfff == 0 && e.level > 2 && e.block.ripe(e.start-e.from)
}
