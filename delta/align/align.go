package align

import (
	"context"
	"runtime"
	"slices"
	"sync"
)

const (
	identity   = -1
	maxWorkers = 2 // at a time: memory
)

// Aligned says how the basis of a pair is made; see [Permutations].
type Aligned struct {
	// Row and Col are indices of the permutations of rows and columns, -1
	// for as they stand.
	Row, Col int
}

// Permutations finds how the units of the pairs' matrices were re-ordered. The
// basis that matches pair p's new matrix has as element (i,j)
//
//	old element (perms[aligned[p].Row][i], perms[aligned[p].Col][j])
//
// where an index of -1 stands for the identity. aligned is as long as pairs.
// Each permutation is a bijection of an axis, is in use, and occurs once; pairs that
// belong to one network must be given together so that they share them. Most
// pairs are not re-ordered and are dismissed after a sample.
//
// The error wraps [ErrShape], is ctx's, or is a reader's.
func Permutations(ctx context.Context, pairs []Pair) (perms [][]uint32, aligned []Aligned, err error) {
	for _, p := range pairs {
		if err := p.check(); err != nil {
			return nil, nil, err
		}
	}
	s := &state{pairs: slices.Clone(pairs), open: make([]bool, len(pairs)), axes: make([][2]int, len(pairs))}
	for i := range s.axes {
		s.axes[i] = [2]int{identity, identity}
	}
	if err := s.searchAll(ctx); err != nil {
		return nil, nil, err
	}
	if err := s.decide(ctx); err != nil {
		return nil, nil, err
	}
	perms, aligned = s.result()
	return perms, aligned, nil
}

// state is what is known of all pairs.
type state struct {
	pairs  []Pair
	open   []bool   // pairs that do not stand where they stood
	axes   [][2]int // group of each pair's rows and columns, or identity
	groups groups
}

// searchAll looks at every pair alone, a few at a time, and groups what is
// found in order of pairs.
func (s *state) searchAll(ctx context.Context) error {
	workers := min(maxWorkers, runtime.GOMAXPROCS(0), len(s.pairs))
	var mu sync.Mutex // guards next, done, waiting, first and the groups
	next, done := 0, 0
	waiting := make(map[int]found)
	var first error
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for first == nil && next < len(s.pairs) {
				at := next
				next++
				mu.Unlock()
				f, open, err := look(ctx, &s.pairs[at])
				mu.Lock()
				if err != nil {
					if first == nil {
						first = err
					}
					return
				}
				s.open[at], waiting[at] = open, f
				for ; done < len(s.pairs); done++ {
					f, ok := waiting[done]
					if !ok {
						break
					}
					delete(waiting, done)
					s.place(done, f)
				}
			}
		})
	}
	wg.Wait()
	return first
}

// look searches one pair; open says that it is not in place.
func look(ctx context.Context, p *Pair) (f found, open bool, err error) {
	if !p.Old.eligible() {
		return f, false, nil
	}
	same, err := inPlace(ctx, *p)
	if err != nil || same {
		return f, false, err
	}
	if err := p.Old.centre(); err != nil {
		return f, false, err
	}
	p.New.lift = p.Old.lift
	if f, err = search(ctx, *p); err != nil {
		return f, false, err
	}
	f, err = worthwhile(ctx, *p, f)
	return f, true, err
}

// worthwhile keeps of the matches those that save bits together.
func worthwhile(ctx context.Context, p Pair, f found) (found, error) {
	r, c := f[rows].settled(), f[cols].settled()
	if r == nil && c == nil {
		return found{}, nil
	}
	kept := []found{{}, {rows: f[rows]}, {cols: f[cols]}, f}
	each, err := costs(ctx, p, []option{{}, {rows: r}, {cols: c}, {rows: r, cols: c}})
	if err != nil {
		return f, err
	}
	best, _ := cheapest(p, each, leastToFound)
	return kept[best], nil
}

// place groups what was found of a pair.
func (s *state) place(at int, f found) {
	for _, a := range []side{rows, cols} {
		if f[a] != nil && f[a].moved() {
			s.axes[at][a] = s.groups.join(f[a])
		}
	}
}

// known returns the match of a pair's axis.
func (s *state) known(pair int, a side) *match {
	if g := s.axes[pair][a]; g != identity {
		return s.groups[g].match
	}
	return inOrder(s.pairs[pair].Old.units(a))
}
