package fleet

import (
	"bytes"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

// sinceRows returns the rows that have changed after the given count and were
// not brought by a peer, in no order.
func (t *Table) sinceRows(changes uint64, but peer.ID) []*row {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changes == changes {
		return nil
	}
	var rows []*row
	for _, r := range t.rows {
		if r.changed > changes && r.via != but {
			rows = append(rows, r)
		}
	}
	return rows
}

// since returns the stamps of sinceRows in the order of keys, false if they are
// more than limit.
func (t *Table) since(changes uint64, but peer.ID, limit int) ([]stamp, bool) {
	rows := t.sinceRows(changes, but)
	if len(rows) > limit {
		return nil, false
	}
	stamps := make([]stamp, len(rows))
	for i, r := range rows {
		stamps[i] = stamp{r.key, r.epoch, r.sequence}
	}
	slices.SortFunc(stamps, func(a, b stamp) int { return bytes.Compare(a.key[:], b.key[:]) })
	return stamps, true
}
