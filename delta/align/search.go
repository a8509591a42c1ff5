package align

import "context"

// fewNumbers is how many numbers of a unit say who it is, even in 8 bits.
const fewNumbers = 16

// plenty is the part of units that are sure from which on the rest is left to
// all tensors of the group together.
const plenty = 0.9

// found are the matches of a pair's rows and columns; nil where nothing is
// known.
type found [2]*match

// trusted says whether either axis is known well enough to go on from.
func (f *found) trusted() bool { return f[rows].trusted() || f[cols].trusted() }

// search looks for the pair's re-ordering with nothing given.
func search(ctx context.Context, p Pair) (found, error) {
	f, err := byKeys(ctx, p)
	if err != nil {
		return f, err
	}
	if p.Old.Cols*p.Old.Block == 1 || p.Old.Rows*p.Old.Block == 1 {
		return f, nil // a vector: one number of a unit alone says nothing if it is not the same
	}
	if !f.trusted() {
		if f, err = assuming(ctx, p, found{inOrder(p.Old.Rows), inOrder(p.Old.Cols)}); err != nil {
			return f, err
		}
		if !f.trusted() {
			if f, err = bySketch(ctx, p); err != nil {
				return f, err
			}
		}
	}
	if !f.trusted() {
		return found{}, nil
	}
	return alternate(ctx, p, f)
}

// byKeys matches units of bit-identical elements in any order.
func byKeys(ctx context.Context, p Pair) (f found, err error) {
	old, err := keysOf(ctx, &p.Old)
	if err != nil {
		return f, err
	}
	now, err := keysOf(ctx, &p.New)
	if err != nil {
		return f, err
	}
	for _, a := range []side{rows, cols} {
		m := byKey(old[a], now[a])
		if p.Old.units(a.other())*p.Old.Block < fewNumbers && 10*m.known() < 9*len(m.to) {
			m = nil // units of few numbers may be equal by chance
		}
		f[a] = m
	}
	return f, nil
}

// assuming matches each axis as if the other's match were as given.
func assuming(ctx context.Context, p Pair, given found) (f found, err error) {
	for _, a := range []side{cols, rows} { // columns take fewer reads
		if f[a], err = direct(ctx, p, a, given[a.other()]); err != nil {
			return f, err
		}
		if f[a].trusted() {
			f[a.other()] = given[a.other()]
			break
		}
	}
	return f, nil
}

// alternate matches each axis anew by the other's sure units, as long as that
// makes more units sure.
func alternate(ctx context.Context, p Pair, f found) (found, error) {
	a := rows
	if f[rows].share() > f[cols].share() {
		a = cols
	}
	for turn, idle := 0, 0; turn < 6 && idle < 2; turn, a = turn+1, a.other() {
		idle++
		if !f[a.other()].trusted() || f[a].share() >= plenty {
			continue
		}
		m, err := direct(ctx, p, a, f[a.other()])
		if err != nil {
			return f, err
		}
		if m.sures() > f[a].sures() {
			f[a] = m
			idle = 0
		}
	}
	return f, nil
}

// share is the part of units that are sure.
func (m *match) share() float64 {
	if m == nil {
		return 0
	}
	return float64(m.sures()) / float64(len(m.to))
}
