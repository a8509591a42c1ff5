package align

import (
	"context"
	"slices"
)

const (
	witnesses   = 8  // tensors that are asked for a group's unsure units
	witnessDims = 64 // numbers of a unit that each tells

	settleRounds = 8
)

// settle decides a group's unsure units by all of its tensors together: equal
// rows of one, such as zeros, are unequal columns of the next. Units that are
// sure but fit badly are decided anew.
func (s *state) settle(ctx context.Context, at int) error {
	g := s.groups[at]
	old, now, err := s.testimony(ctx, at)
	if err != nil {
		return err
	}
	if old.dims > 0 {
		g.match.doubt(old, now)
		for range settleRounds {
			oldOpen, newOpen := g.match.open()
			if len(newOpen) == 0 {
				break
			}
			m, err := byDistance(ctx, old.pick(oldOpen), now.pick(newOpen))
			if err != nil {
				return err
			}
			if !g.match.adopt(m, oldOpen, newOpen) {
				break
			}
		}
	}
	g.perm = g.match.settled()
	return nil
}

// doubt makes open the units that are not sure, or much farther from their old
// ones than most.
func (m *match) doubt(old, now points) {
	lo, ln := old.lengths(), now.lengths()
	var far []float32
	of := make([]float32, len(m.to))
	for i, sure := range m.sure {
		if sure {
			t := m.to[i]
			of[i] = apart(dot(now.at(i), old.at(int(t))), ln[i], lo[t])
			far = append(far, of[i])
		}
	}
	slices.Sort(far)
	limit := float32(0)
	if len(far) > 0 {
		limit = max(0.01, 4*far[len(far)/2])
	}
	for i := range m.sure {
		m.sure[i] = m.sure[i] && of[i] <= limit
		if !m.sure[i] {
			m.to[i] = -1
		}
	}
}

// adopt takes over a match of open units and says whether it had any.
func (m *match) adopt(open *match, old, now []int32) (progress bool) {
	for i, t := range open.to {
		if t >= 0 {
			m.to[now[i]], m.sure[now[i]] = old[t], open.sure[i]
			progress = true
		}
	}
	return progress
}

// testimony reads numbers of a group's units from its tensors.
func (s *state) testimony(ctx context.Context, at int) (old, now points, err error) {
	var olds, nows []points
	dims := max(1, min(witnessDims, maxFloats/len(s.groups[at].match.to)/witnesses))
	for p := range s.pairs {
		for _, a := range []side{rows, cols} {
			if s.axes[p][a] != at || len(olds) == witnesses {
				continue
			}
			given := s.known(p, a.other())
			if given.sures() == 0 {
				continue // doubted altogether
			}
			o, n, err := directPoints(ctx, s.pairs[p], a, given, dims)
			if err != nil {
				return old, now, err
			}
			if o.dims == 0 || n.dims == 0 {
				continue // nothing known of the other axis to hold units against
			}
			olds, nows = append(olds, o), append(nows, n)
		}
	}
	return beside(olds), beside(nows), nil
}

// pick copies some points.
func (p points) pick(units []int32) points {
	q := newPoints(len(units), p.dims)
	for i, u := range units {
		copy(q.at(i), p.at(int(u)))
	}
	return q
}

// beside joins the dimensions of sets of as many points.
func beside(sets []points) points {
	var all points
	for _, p := range sets {
		all.dims += p.dims
	}
	if all.dims == 0 {
		return all
	}
	all.v = make([]float32, 0, sets[0].len()*all.dims)
	for i := range sets[0].len() {
		for _, p := range sets {
			all.v = append(all.v, p.at(i)...)
		}
	}
	return all
}
