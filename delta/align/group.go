package align

// group is a permutation that axes of several pairs share.
type group struct {
	match   *match
	perm    []int32 // settled; nil before
	stacked bool    // made from another one, no pair founded it
}

// price is what a group must save, in bits. The best of all permutations saves
// by chance about what it costs, so one that was sought among all must do
// better; one made from another need not.
func (g *group) price() int64 {
	if g.stacked {
		return orderBits(g.perm)
	}
	return worth * orderBits(g.perm)
}

// groups are found in order of pairs.
type groups []*group

// join adds what an axis knows to the group that agrees with it, or founds
// one, and returns its index.
func (gs *groups) join(m *match) int {
	for i, g := range *gs {
		if len(g.match.to) == len(m.to) && g.match.agrees(m) {
			g.match.learn(m)
			return i
		}
	}
	*gs = append(*gs, &group{match: m})
	return len(*gs) - 1
}

// agrees says whether nine in ten units that both are sure of are the same,
// and these are enough to tell.
func (m *match) agrees(o *match) bool {
	both, same := 0, 0
	for i := range m.to {
		if m.sure[i] && o.sure[i] {
			both++
			if m.to[i] == o.to[i] {
				same++
			}
		}
	}
	return both >= min(8, max(1, len(m.to)/8)) && 10*same >= 9*both
}

// learn takes over what o is sure of and m is not, unless it contradicts.
func (m *match) learn(o *match) {
	owner := make([]int32, len(m.to)) // new unit + 1 of each old one
	for i, t := range m.to {
		if t >= 0 {
			owner[t] = int32(i) + 1
		}
	}
	for i, t := range o.to {
		if !o.sure[i] || m.sure[i] {
			continue
		}
		if w := owner[t] - 1; w >= 0 {
			if m.sure[w] {
				continue
			}
			m.to[w] = -1
		}
		if was := m.to[i]; was >= 0 {
			owner[was] = 0
		}
		m.to[i], m.sure[i], owner[t] = t, true, int32(i)+1
	}
}
