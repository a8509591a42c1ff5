package transfer

import "github.com/dunlin-mesh/dunlin/codec"

// verdict is what can be said to a question now.
type verdict struct {
	fault deltaCode  // if not empty, the answer
	wait  waitReason // if not empty, what is to be waited for
	bytes uint64     // a figure that grows while what is waited for comes
	offer deltaOffer
	key   deltaKey // of the offer
}

// consider looks for a delta, in this order: the one that the client has a part
// of; one that is in the cache; one that is being coded; one that can be coded.
func (s *deltaServing) consider() verdict {
	d, a := s.t.deltas, s.ask
	offer := func(basis int, e codec.Effort, bytes int64) verdict {
		return verdict{
			offer: deltaOffer{Basis: uint32(basis), Effort: e, Bytes: uint64(bytes)},
			key:   d.key(a.File, a.Bases[basis], e),
		}
	}
	if s.effort != codec.Light {
		if p := a.Part; p != nil {
			if bytes, coding := d.cache.size(d.key(a.File, a.Bases[p.Basis], p.Effort)); bytes > 0 || coding {
				return offer(int(p.Basis), p.Effort, bytes)
			}
		}
		efforts := []codec.Effort{codec.Strong, codec.Fast}
		for i, basis := range a.Bases {
			for _, e := range efforts {
				if bytes, _ := d.cache.size(d.key(a.File, basis, e)); bytes > 0 && e >= s.effort {
					return offer(i, e, bytes)
				}
			}
		}
		for i, basis := range a.Bases {
			if _, coding := d.cache.size(d.key(a.File, basis, s.effort)); coding {
				return offer(i, s.effort, 0)
			}
		}
	}
	if basis, k, total := d.relays(a, s.peer.id); basis >= 0 && s.effort != codec.Light {
		return verdict{offer: deltaOffer{Basis: uint32(basis), Effort: k.effort, Bytes: total, Relay: true}, key: k}
	}
	bytes, underway := d.underway(a.File)
	switch whole, count := s.t.holdsWhole(a.File); {
	case underway || !whole && count > 0:
		return verdict{wait: waitComing, bytes: bytes + uint64(count)}
	case !whole:
		return verdict{wait: waitNotHeld}
	case s.effort == codec.Light:
		return verdict{fault: deltaPlain}
	}
	if p := a.Part; p != nil {
		if _, hopeless := d.known(d.key(a.File, a.Bases[p.Basis], p.Effort)); !hopeless {
			if whole, _ := s.t.holdsWhole(a.Bases[p.Basis]); whole {
				return offer(int(p.Basis), p.Effort, 0)
			}
		}
	}
	code := deltaNoBasis
	for i, basis := range a.Bases {
		if why, hopeless := d.known(d.key(a.File, basis, s.effort)); hopeless {
			code = why
			continue
		}
		if whole, _ := s.t.holdsWhole(basis); whole {
			return offer(i, s.effort, 0)
		}
	}
	return verdict{fault: code}
}
