package fleet

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Bounds of a table.
const (
	// MaxRows bounds the nodes of a table.
	MaxRows = 4096
	// maxTableBytes bounds the sum of their records.
	maxTableBytes = 4 << 20
)

// TableConfig says what a Table works with. All fields without a default are
// required.
type TableConfig struct {
	// Dir is a folder of the table's own. It is made if it is missing.
	Dir string
	// Self is this node.
	Self peer.ID
	// Mesh names the mesh whose records are taken.
	Mesh string
	// Logger receives what an operator may want to know. Default: discarded.
	Logger *slog.Logger
}

// Table is the newest record known of each node. [Fleet] fills it; it can be
// read without one, too. Safe for concurrent use.
type Table struct {
	config TableConfig

	mu      sync.Mutex       // owns the rest
	rows    map[rowKey]*row  // at most MaxRows
	bytes   int              // of all records
	groups  map[peer.ID]int  // rows of each group
	sources map[peer.ID]*tap // who may bring how many new nodes
	changes uint64           // grows with each change of rows
	saved   uint64           // changes at the last save
	digest  []byte           // of all rows; nil if it must be worked out
}

// rowKey is where a row lies in the order of rows: 8 bytes of a hash of the
// peer ID. Two nodes of one key would have to be made on purpose, with 2³²
// attempts; the first one known keeps the row.
type rowKey [8]byte

func keyOf(p peer.ID) rowKey {
	sum := sha256.Sum256([]byte(domain + string(p)))
	return rowKey(sum[:8])
}

// row is what is known of a node. Rows are replaced, not changed.
type row struct {
	key             rowKey
	peer            peer.ID
	epoch, sequence uint64
	data            []byte        // the signed record
	age             time.Duration // when it arrived here, as far as nodes were running
	off             time.Duration // how long this node was off since, by the clock on the wall
	arrived         time.Time     // monotonic
	group           peer.ID       // who brought the first record of this node; empty for itself
	via             peer.ID       // who brought this one
	inside          bool          // via is a member of the site
	changed         uint64        // Table.changes when it arrived
	kind            change        // from the one before
}

// lived is the age that counts for forgetting: no clock on a wall is in it.
func (r *row) lived(now time.Time) time.Duration { return r.age + now.Sub(r.arrived) }

// Row is one node as it is known here.
type Row struct {
	Record
	// Age is the time since the node made the record, as told by those that
	// passed it on, and counted here.
	Age time.Duration
	// Via is who brought it: the node itself, another one, or empty for this
	// node's own record.
	Via peer.ID
}

// verdict is what became of a record.
type verdict int

const (
	kept    verdict = iota // it is in the table now
	known                  // a newer one, or this one, is there
	refused                // no room for it, from this source
	own                    // it is of this node, and newer than what this node remembers
)

// put takes a verified record that via has brought, age after it was made.
func (t *Table) put(r *Record, data []byte, age time.Duration, via peer.ID, inside bool) (verdict, *row) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh := &row{
		key: keyOf(r.Peer), peer: r.Peer, epoch: r.Epoch, sequence: r.Sequence, data: bytes.Clone(data),
		age: max(0, age), arrived: now, via: via, inside: inside, kind: altered,
	}
	old := t.rows[fresh.key]
	switch {
	case fresh.age >= MaxAge:
		return refused, nil
	case old != nil && old.peer != r.Peer:
		return refused, nil
	case old != nil && !newer(r.Epoch, r.Sequence, old.epoch, old.sequence):
		return known, nil
	case r.Peer == t.config.Self && via != t.config.Self:
		return own, nil
	}
	if fresh.group = via; via == r.Peer {
		fresh.group = ""
	}
	if old == nil && !t.admit(fresh, now) {
		return refused, nil
	}
	if old != nil {
		if fresh.group != "" {
			fresh.group = old.group
		}
		if before, _, err := decode(old.data); err == nil {
			fresh.kind = compare(before, r)
		}
		t.drop(old)
	}
	t.add(fresh)
	for t.bytes > maxTableBytes {
		if !t.evict(now, fresh) {
			t.drop(fresh)
			return refused, nil
		}
	}
	return kept, fresh
}

func (t *Table) add(r *row) {
	t.changes++
	r.changed = t.changes
	t.rows[r.key] = r
	t.bytes += len(r.data)
	t.groups[r.group]++
	t.digest = nil
}

func (t *Table) drop(r *row) {
	delete(t.rows, r.key)
	t.bytes -= len(r.data)
	if t.groups[r.group]--; t.groups[r.group] == 0 {
		delete(t.groups, r.group)
	}
	t.changes++
	t.digest = nil
}

// wants says whether a record of that name and number would be taken from a
// source.
func (t *Table) wants(key rowKey, epoch, sequence uint64, from peer.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.rows[key]; old != nil {
		return newer(epoch, sequence, old.epoch, old.sequence)
	}
	return t.hasRoom(from)
}

// forget drops rows that are too old.
func (t *Table) forget() {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.rows {
		if r.peer != t.config.Self && r.lived(now) >= MaxAge {
			t.drop(r)
		}
	}
}

// get returns the row of a key, or nil.
func (t *Table) get(key rowKey) *row {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rows[key]
}

// Rows returns what is known of every node, in the order of sites, then of
// peer IDs. The caller owns the result.
func (t *Table) Rows() []Row {
	t.forget()
	now := time.Now()
	t.mu.Lock()
	rows := make([]*row, 0, len(t.rows))
	for _, r := range t.rows {
		rows = append(rows, r)
	}
	t.mu.Unlock()
	out := make([]Row, 0, len(rows))
	for _, r := range rows {
		record, _, err := decode(r.data)
		if err != nil {
			t.config.Logger.Error("a node record in memory is damaged", slog.String("peer", r.peer.String()), slog.Any("error", err))
			continue
		}
		via := r.via
		if r.peer == t.config.Self {
			via = ""
		}
		out = append(out, Row{Record: *record, Age: r.lived(now) + r.off, Via: via})
	}
	slices.SortFunc(out, func(a, b Row) int { return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Peer, b.Peer)) })
	return out
}

func (c TableConfig) withDefaults() (TableConfig, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Dir == "":
		return c, fmt.Errorf("%w: no folder", ErrConfig)
	case c.Self == "":
		return c, fmt.Errorf("%w: no peer ID", ErrConfig)
	case c.Mesh == "":
		return c, fmt.Errorf("%w: no mesh", ErrConfig)
	}
	return c, nil
}
