package node

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/site"
)

// Bounds of the address book.
const (
	maxBookPeers     = 256
	maxBookPerSource = 32 // identities cost nothing, IP addresses do
	maxBookAddresses = 16
	maxToldFailures  = 6       // dials without an answer, of a peer never met
	maxBookBytes     = 4 << 20 // of the file; more was not written by a node
)

// book remembers the addresses of peers across restarts, so that a node finds
// its mesh again although every bootstrap node is gone. It is a hint: a lost
// or damaged file costs only the memory.
//
// Who connects to this node names its own addresses, and may be anybody. So
// peers that this node has reached itself go before all others, when there are
// too many and when they are dialled, and no source fills the book.
// Safe for concurrent use.
type book struct {
	path string

	mu    sync.Mutex          // owns the rest
	peers map[string]bookPeer // by the text form of the peer ID
	dirty bool
}

type bookPeer struct {
	Addresses []string  `json:"addresses"`
	LastSeen  time.Time `json:"last_seen"`
	Reached   bool      `json:"reached,omitempty"` // this node dialled it, once at least
	Source    string    `json:"source,omitempty"`  // where it was met last, or who told of it, as sourceOf has it
	Site      string    `json:"site,omitempty"`    // the label that it claims
	Local     bool      `json:"local,omitempty"`   // it was inside this site when it was met last
	Told      bool      `json:"told,omitempty"`    // never met: another peer told of it, at LastSeen
	Seq       uint64    `json:"seq,omitempty"`     // of the peer record that Addresses come from, if they do
	Failures  int       `json:"failures,omitempty"`
}

// meeting is how this node and a peer came to be connected.
type meeting struct {
	reached bool   // this node dialled
	source  string // of the peer's address
	site    string // the label that the peer claims
	local   bool   // the connection stays inside this site
	seq     uint64 // of the peer record that came with it
}

func meetingOf(e event.EvtPeerIdentificationCompleted, local bool) meeting {
	return meeting{
		reached: e.Conn.Stat().Direction == network.DirOutbound, source: sourceOf(e.Conn.RemoteMultiaddr()),
		site: shownLabel(e.AgentVersion), local: local, seq: seqOf(e.SignedPeerRecord),
	}
}

// remembrance is what the book knows of a peer.
type remembrance struct {
	peer.AddrInfo
	met    bool   // where source and local say
	told   bool   // of by others only
	site   string // the label that it claims
	source string // as sourceOf has it
	local  bool
}

// sourceOf returns what an address costs to have: an IPv4 address, or the
// network of an IPv6 address (/64, since a host may have all of it). What has no
// IP address is one source.
func sourceOf(a multiaddr.Multiaddr) string {
	ip, err := manet.ToIP(a)
	if err != nil {
		return "other"
	}
	if ip.To4() != nil {
		return ip.String()
	}
	return ip.Mask(net.CIDRMask(64, 128)).String()
}

func openBook(dir string, log *slog.Logger) *book {
	b := &book{path: filepath.Join(dir, bookName), peers: make(map[string]bookPeer)}
	saved, err := readBook(b.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("address book is unreadable, starting a new one", slog.Any("error", err))
	}
	for text, p := range saved {
		id, err := peer.Decode(text)
		if err != nil {
			continue // a hint that is damaged is no hint
		}
		p.Addresses = p.Addresses[:min(len(p.Addresses), maxBookAddresses)]
		if site.ValidateLabel(p.Site) != nil {
			p.Site = ""
		}
		b.peers[id.String()] = p
	}
	b.bound()
	return b
}

func readBook(path string) (map[string]bookPeer, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var saved map[string]bookPeer
	return saved, json.NewDecoder(io.LimitReader(file, maxBookBytes)).Decode(&saved)
}

// textsOf returns the text forms of addresses.
func textsOf(addrs []multiaddr.Multiaddr) []string {
	texts := make([]string, 0, len(addrs))
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	return texts
}

// remember notes that the peer was met at the time now, and says that it can be
// reached at addrs.
func (b *book) remember(id peer.ID, addrs []multiaddr.Multiaddr, m meeting, now time.Time) {
	texts := textsOf(addrs)
	slices.Sort(texts)
	texts = slices.Compact(texts)
	if len(texts) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.peers[id.String()]
	b.peers[id.String()] = bookPeer{
		Addresses: texts[:min(len(texts), maxBookAddresses)], LastSeen: now.UTC().Truncate(time.Second),
		Reached: m.reached || before.Reached, Source: m.source, Site: m.site, Local: m.local, Seq: m.seq,
	}
	b.dirty = true
	b.bound()
}

// hear notes where a peer says that it can be reached, as another peer at source
// passed it on. It is what the peer itself signed, so it replaces what is older;
// a peer that was met stays where it was in rank and share. It returns false for
// what is not newer.
func (b *book) hear(r told, source string, now time.Time) bool {
	if len(r.addrs) == 0 {
		return false
	}
	texts := textsOf(r.addrs)
	b.mu.Lock()
	defer b.mu.Unlock()
	p, known := b.peers[r.id.String()]
	if known && r.seq <= p.Seq {
		return false
	}
	p.Addresses, p.Seq = texts[:min(len(texts), maxBookAddresses)], r.seq
	if !known || p.Told {
		p.Told, p.Source, p.LastSeen, p.Site, p.Failures = true, source, now.UTC().Truncate(time.Second), r.site, 0
	}
	b.peers[r.id.String()] = p
	b.dirty = true
	b.bound()
	return true
}

// failed notes that a peer did not answer. One that was never met is forgotten
// after a few times.
func (b *book) failed(id peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, known := b.peers[id.String()]
	if !known || !p.Told {
		return
	}
	if p.Failures++; p.Failures >= maxToldFailures {
		delete(b.peers, id.String())
	} else {
		b.peers[id.String()] = p
	}
	b.dirty = true
}

// ranked returns the keys of all peers: those that were reached first, then those
// that were met, then those that were only told of; among them the one seen last.
// Callers hold mu, or are the only ones to know the book.
func (b *book) ranked() []string {
	return slices.SortedFunc(maps.Keys(b.peers), func(x, y string) int {
		p, q := b.peers[x], b.peers[y]
		rank := func(p bookPeer) int {
			switch {
			case p.Reached:
				return 0
			case !p.Told:
				return 1
			default:
				return 2
			}
		}
		return cmp.Or(rank(p)-rank(q), q.LastSeen.Compare(p.LastSeen), cmp.Compare(x, y))
	})
}

// bound forgets the last of a source that has too many, and of all. Callers are
// those of ranked.
func (b *book) bound() {
	kept, from := 0, make(map[string]int)
	for _, text := range b.ranked() {
		source := b.peers[text].Source
		if kept == maxBookPeers || from[source] == maxBookPerSource {
			delete(b.peers, text)
			continue
		}
		kept++
		from[source]++
	}
}

// all returns what is remembered, in the order of ranked.
func (b *book) all() []remembrance {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]remembrance, 0, len(b.peers))
	for _, text := range b.ranked() {
		p := b.peers[text]
		id, err := peer.Decode(text)
		if err != nil {
			continue // openBook and remember keep none
		}
		info := remembrance{AddrInfo: peer.AddrInfo{ID: id}, met: !p.Told, told: p.Told, site: p.Site, source: p.Source, local: p.Local}
		for _, text := range p.Addresses {
			if a, err := multiaddr.NewMultiaddr(text); err == nil {
				info.Addrs = append(info.Addrs, a)
			}
		}
		if len(info.Addrs) > 0 {
			out = append(out, info)
		}
	}
	return out
}

// lastSeen returns when the peer was met last; zero if never.
func (b *book) lastSeen(id peer.ID) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peers[id.String()]
	if p.Told {
		return time.Time{}
	}
	return p.LastSeen
}

// save makes the book durable if it changed.
func (b *book) save() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.dirty {
		return nil
	}
	data, err := json.MarshalIndent(b.peers, "", "  ")
	if err != nil {
		return fmt.Errorf("write address book: %w", err)
	}
	if err := durable.WriteFile(b.path, append(data, '\n'), 0o600); err != nil {
		return err
	}
	b.dirty = false
	return nil
}
