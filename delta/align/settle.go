package align

import "context"

const (
	witnesses   = 8  // tensors that are asked for a group's unsure units
	witnessDims = 64 // numbers of a unit that each tells
)

// settle decides a group's unsure units by all of its tensors together: equal
// rows of one, such as zeros, are unequal columns of the next.
func (s *state) settle(ctx context.Context, at int) error {
	g := s.groups[at]
	for range 3 {
		oldOpen, newOpen := g.match.open()
		if len(newOpen) == 0 {
			break
		}
		old, now, err := s.testimony(ctx, at, oldOpen, newOpen)
		if err != nil {
			return err
		}
		if old.dims == 0 {
			break
		}
		m, err := byDistance(ctx, old, now)
		if err != nil {
			return err
		}
		if !g.match.adopt(m, oldOpen, newOpen) {
			break
		}
	}
	g.perm = g.match.settled()
	return nil
}

// adopt replaces what is open by m, a match of the open units, and says
// whether that made any unit sure.
func (m *match) adopt(open *match, old, now []int32) (progress bool) {
	for i, n := range now {
		m.to[n] = -1
		if t := open.to[i]; t >= 0 {
			m.to[n] = old[t]
			m.sure[n] = open.sure[i]
			progress = progress || open.sure[i]
		}
	}
	return progress
}

// testimony reads numbers of the open units from the tensors of a group.
func (s *state) testimony(ctx context.Context, at int, oldOpen, newOpen []int32) (old, now points, err error) {
	var olds, nows []points
	dims := min(witnessDims, max(1, maxFloats/len(newOpen)/witnesses))
	for p := range s.pairs {
		for _, a := range []side{rows, cols} {
			if s.axes[p][a] != at || len(olds) == witnesses {
				continue
			}
			o, n, err := directPoints(ctx, s.pairs[p], a, s.known(p, a.other()), dims)
			if err != nil {
				return old, now, err
			}
			olds, nows = append(olds, o.pick(oldOpen)), append(nows, n.pick(newOpen))
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
