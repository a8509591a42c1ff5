package align

import (
	"context"
	"slices"
)

const (
	maxTried = 6 // groups that an axis is tried with
	worth    = 2 // what a group must save, in costs of its permutation
)

// decide settles the groups, lets open axes try them, and gives up the groups
// that do not pay.
func (s *state) decide(ctx context.Context) error {
	for at := range s.groups {
		if err := s.settle(ctx, at); err != nil {
			return err
		}
	}
	s.stack()
	dropped := make([]bool, len(s.groups))
	if _, err := s.chooseAll(ctx, dropped); err != nil {
		return err
	}
	// Now those speak, too, that joined.
	for at, g := range s.groups {
		if !g.stacked {
			if err := s.settle(ctx, at); err != nil {
				return err
			}
		}
	}
	for {
		saved, err := s.chooseAll(ctx, dropped)
		if err != nil {
			return err
		}
		pays := true
		for g, bits := range saved {
			if !dropped[g] && bits < s.groups[g].price() {
				dropped[g], pays = true, false
			}
		}
		if pays {
			return nil
		}
	}
}

// chooseAll chooses for all open pairs and returns what each group saves.
func (s *state) chooseAll(ctx context.Context, dropped []bool) (saved []int64, err error) {
	saved = make([]int64, len(s.groups))
	for p, open := range s.open {
		if !open {
			continue
		}
		gain, err := s.choose(ctx, p, dropped)
		if err != nil {
			return nil, err
		}
		for a, g := range s.axes[p] {
			if g != identity && (a == 0 || s.axes[p][0] != g) {
				saved[g] += gain
			}
		}
	}
	return saved, nil
}

// choose takes the groups that make the cheapest basis for a pair and returns
// how many bits they save.
func (s *state) choose(ctx context.Context, pair int, dropped []bool) (gain int64, err error) {
	p := s.pairs[pair]
	var tried [2][]int
	for _, a := range []side{rows, cols} {
		tried[a] = s.candidates(pair, a, dropped)
	}
	var options []option
	var axes [][2]int
	for _, r := range tried[rows] {
		for _, c := range tried[cols] {
			options = append(options, option{s.perm(r), s.perm(c)})
			axes = append(axes, [2]int{r, c})
		}
	}
	s.axes[pair] = [2]int{identity, identity}
	if len(options) == 1 {
		return 0, nil
	}
	each, err := costs(ctx, p, options)
	if err != nil {
		return 0, err
	}
	best, gain := cheapest(p, each, leastToJoin)
	s.axes[pair] = axes[best]
	return gain, nil
}

// candidates are identity and the group that an axis has; if it has none, other
// groups of its length, those first that occur in near pairs.
func (s *state) candidates(pair int, a side, dropped []bool) []int {
	n := s.pairs[pair].Old.units(a)
	list := []int{identity}
	offer := func(g int) {
		if g != identity && len(list) <= maxTried && !dropped[g] && s.groups[g].perm != nil &&
			len(s.groups[g].perm) == n && !slices.Contains(list, g) {
			list = append(list, g)
		}
	}
	offer(s.axes[pair][a])
	if len(list) > 1 {
		return list
	}
	for _, g := range s.near(pair) {
		offer(g)
	}
	for g := range s.groups {
		if s.groups[g].stacked {
			offer(g)
		}
	}
	return list
}

// perm returns a group's permutation, nil for identity.
func (s *state) perm(g int) []int32 {
	if g == identity {
		return nil
	}
	return s.groups[g].perm
}

// result writes the groups in use in order of their first.
func (s *state) result() (perms [][]uint32, aligned []Aligned) {
	number := make(map[int]int)
	index := func(g int) int {
		if g == identity {
			return identity
		}
		n, ok := number[g]
		if !ok {
			perm := make([]uint32, len(s.groups[g].perm))
			for i, t := range s.groups[g].perm {
				perm[i] = uint32(t)
			}
			n = slices.IndexFunc(perms, func(p []uint32) bool { return slices.Equal(p, perm) })
			if n < 0 {
				n = len(perms)
				perms = append(perms, perm)
			}
			number[g] = n
		}
		return n
	}
	aligned = make([]Aligned, len(s.axes))
	for i, a := range s.axes {
		aligned[i] = Aligned{Row: index(a[rows]), Col: index(a[cols])}
	}
	return perms, aligned
}
