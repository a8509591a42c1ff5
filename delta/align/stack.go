package align

const (
	maxStack   = 8  // times that a layer's units may occur in one axis
	maxStacked = 64 // groups that are made so
)

// stack makes groups for open axes that hold a layer's units several times:
// the gates of a recurrent cell, both perspectives of a chess network, the
// pixels of a flattened image.
func (s *state) stack() {
	made := make(map[[2]int]bool) // group and times
	for p, open := range s.open {
		if !open {
			continue
		}
		for _, a := range []side{rows, cols} {
			n := s.pairs[p].Old.units(a)
			if s.axes[p][a] != identity || n == 1 {
				continue
			}
			for _, g := range s.near(p) {
				of := s.groups[g]
				times := n / len(of.match.to)
				key := [2]int{g, times}
				if of.stacked || of.perm == nil || n%len(of.match.to) != 0 || times < 2 || times > maxStack || made[key] || len(made) >= maxStacked {
					continue
				}
				made[key] = true
				s.groups = append(s.groups, of.stack(times, false), of.stack(times, true))
			}
		}
	}
}

// stack repeats a group's permutation: all units times times, or each unit
// with its neighbours.
func (g *group) stack(times int, inside bool) *group {
	n := len(g.perm)
	perm := make([]int32, n*times)
	for i, t := range g.perm {
		for k := range times {
			if inside {
				perm[i*times+k] = t*int32(times) + int32(k)
			} else {
				perm[k*n+i] = int32(k*n) + t
			}
		}
	}
	return &group{match: &match{to: perm, sure: make([]bool, len(perm))}, perm: perm, stacked: true}
}

// near returns the groups in use, those first that occur in pairs near p.
func (s *state) near(p int) (list []int) {
	seen := make([]bool, len(s.groups))
	for away := range len(s.pairs) {
		for _, at := range []int{p - away, p + away} {
			if at < 0 || at >= len(s.pairs) {
				continue
			}
			for _, g := range s.axes[at] {
				if g != identity && !seen[g] {
					seen[g] = true
					list = append(list, g)
				}
			}
		}
	}
	return list
}
