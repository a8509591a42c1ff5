package delta

import (
	"context"

	"github.com/dunlin-mesh/dunlin/codec"
)

// piece is a run of the new view with all that is known about it before it is
// coded; a worker decides how.
type piece struct {
	at, size int64
	region   *region
	from     int64 // in the old view; -1: none
	equal    bool  // to the old bytes
	start    int64 // elements of the region before it
	basis    transform
}

// skip takes n bytes off the start.
func (p *piece) skip(n int64) {
	p.at, p.size = p.at+n, p.size-n
	p.start += n / int64(p.region.class.Width())
	switch {
	case p.from < 0:
	case p.basis.kind == asIs:
		p.from += n
	default:
		p.basis.skip += n
	}
}

// planner cuts the new view into pieces.
type planner struct {
	old, next  *view
	olds, news []region
	pairs      pairing
	matcher    *matcher // made when first needed
	tables     tables
	adapter    *adapter    // nil for none
	orders     []transform // of the regions, found for all of them at once
}

func newPlanner(ctx context.Context, old, next *view, oldName, newName string, opt *Options) (*planner, error) {
	p := &planner{old: old, next: next}
	var err error
	if p.olds, p.news, err = findRegions(ctx, old, next, oldName, newName, opt.DType); err != nil {
		return nil, err
	}
	if p.pairs, err = pair(ctx, old, next, p.olds, p.news); err != nil {
		return nil, err
	}
	return p, nil
}

// pieces yields the pieces in order.
func (p *planner) pieces(ctx context.Context, yield func(piece) error) error {
	if err := p.findOrders(ctx); err != nil {
		return err
	}
	hint := int64(0) // where old bytes probably go on
	for i := range p.news {
		r := &p.news[i]
		if p.pairs[i].sure {
			from := p.olds[p.pairs[i].old].at
			hint = p.olds[p.pairs[i].old].end()
			t, err := p.transform(ctx, i)
			if err != nil {
				return err
			}
			if err := p.against(ctx, r, r.at, r.size, from, t, yield); err != nil {
				return err
			}
			continue
		}
		if r.size < searchBytes || r.class == codec.Other && r.size < searchTextBytes {
			if err := p.alone(ctx, i, r.at, r.size, hint, yield); err != nil {
				return err
			}
			continue
		}
		matches, err := p.matches(ctx, r)
		if err != nil {
			return err
		}
		at := r.at
		for _, m := range append(matches, match{at: r.end()}) {
			if m.at > at {
				if err := p.alone(ctx, i, at, m.at-at, hint, yield); err != nil {
					return err
				}
			}
			if m.size > 0 {
				err := yield(piece{at: m.at, size: m.size, region: r, from: m.from, equal: true})
				if err != nil {
					return err
				}
			}
			at, hint = m.at+m.size, m.from+m.size
		}
	}
	return nil
}

const (
	// searchBytes is the least size of a region without a sure basis in which
	// old bytes are looked for, searchTextBytes that of one of unknown bytes: in
	// smaller ones their model finds them.
	searchBytes     = 1 << 10
	searchTextBytes = 256 << 10
	// matchBytes is the least run of old bytes that is copied.
	matchBytes = 128
)

// matches returns the runs of a region that stand somewhere in the old file,
// cut to whole elements.
func (p *planner) matches(ctx context.Context, r *region) ([]match, error) {
	if p.matcher == nil {
		var err error
		if p.matcher, err = newMatcher(ctx, p.old); err != nil {
			return nil, err
		}
	}
	found, err := p.matcher.find(ctx, p.next, r.at, r.size, matchBytes)
	if err != nil {
		return nil, err
	}
	width := int64(r.class.Width())
	for i := range found {
		m := &found[i]
		skip := (width - (m.at-r.at)%width) % width
		m.at, m.from = m.at+skip, m.from+skip
		m.size = (m.size - skip) / width * width
	}
	return found, nil
}

// against yields the pieces of a run of a region whose basis is the old region
// from on, made as t says.
func (p *planner) against(ctx context.Context, r *region, at, size, from int64, t transform, yield func(piece) error) error {
	basis, err := newBasisReader(p.old, from, r.class, t, p.tables.list)
	if err != nil {
		return err
	}
	runs, err := compare(ctx, basis, p.next, r.at, at-r.at, size, r.class.Width())
	if err != nil {
		return err
	}
	for _, run := range runs {
		next := piece{at: r.at, size: r.size, region: r, from: from, basis: t, equal: run.equal}
		next.skip(run.at)
		next.size = run.size
		if err := yield(next); err != nil {
			return err
		}
	}
	return nil
}

// alone yields a run of a region that stands nowhere in the old file as it is:
// against the region that resembles it, if one does.
func (p *planner) alone(ctx context.Context, i int, at, size, hint int64, yield func(piece) error) error {
	r := &p.news[i]
	if j := p.pairs[i].old; j >= 0 {
		t, err := p.transform(ctx, i)
		if err != nil {
			return err
		}
		if p.pairs[i].old < 0 { // it does not derive from that
			return p.alone(ctx, i, at, size, hint, yield)
		}
		return p.against(ctx, r, at, size, p.olds[j].at, t, yield)
	}
	from := int64(-1)
	if r.class == codec.Other && hint <= p.old.size {
		from = hint
	}
	return yield(piece{at: at, size: size, region: r, from: from, start: (at - r.at) / int64(r.class.Width())})
}
