package fleet

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// How many nodes that were not known before one source may bring: half of the
// table at once, which a node that has just come needs, and one more each
// second. Made-up identities cost nothing, their signatures neither.
const (
	newcomers     = MaxRows / 2
	newcomerPause = time.Second
	maxSources    = 1024
)

// tap is what a source may still bring.
type tap struct {
	left float64
	at   time.Time // when left was right
}

// admit makes room for a row of a node that was not known before; false if
// there is none. The largest group pays with its oldest row, so that a source
// that floods the table displaces nobody else's rows. Rows that nodes brought
// themselves are one group.
func (t *Table) admit(fresh *row, now time.Time) bool {
	if fresh.peer == t.config.Self {
		return true
	}
	if fresh.group != "" {
		tap := t.tapOf(fresh.via, now)
		if tap.left < 1 {
			return false
		}
		tap.left--
	}
	return len(t.rows) < MaxRows || t.evict(now, fresh)
}

// hasRoom says whether admit would be of any use.
func (t *Table) hasRoom(from peer.ID) bool { return t.tapOf(from, time.Now()).left >= 1 }

func (t *Table) tapOf(source peer.ID, now time.Time) *tap {
	s := t.sources[source]
	if s == nil {
		if len(t.sources) >= maxSources {
			t.sweep(now)
		}
		s = &tap{left: newcomers, at: now}
		t.sources[source] = s
	}
	s.left = min(newcomers, s.left+now.Sub(s.at).Seconds()/newcomerPause.Seconds())
	s.at = now
	return s
}

// sweep forgets sources that may bring all they could, or else the one that is
// closest to it.
func (t *Table) sweep(now time.Time) {
	var best peer.ID
	most := -1.0
	for p, s := range t.sources {
		left := s.left + now.Sub(s.at).Seconds()/newcomerPause.Seconds()
		if left >= newcomers {
			delete(t.sources, p)
		} else if left > most {
			best, most = p, left
		}
	}
	if len(t.sources) >= maxSources {
		delete(t.sources, best)
	}
}

// evict drops the oldest row of the largest group, other than fresh and this
// node's own; false if fresh itself is the one that has to go.
func (t *Table) evict(now time.Time, fresh *row) bool {
	largest, most := fresh.group, t.groups[fresh.group]
	for group, n := range t.groups {
		if n > most {
			largest, most = group, n
		}
	}
	var oldest *row
	for _, r := range t.rows {
		if r.group == largest && r != fresh && r.peer != t.config.Self && (oldest == nil || r.lived(now) > oldest.lived(now)) {
			oldest = r
		}
	}
	if oldest == nil || (largest == fresh.group && oldest.lived(now) <= fresh.age) {
		return false
	}
	t.drop(oldest)
	return true
}
