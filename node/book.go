package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

// Bounds of the address book.
const (
	maxBookPeers     = 256
	maxBookAddresses = 16
	maxBookBytes     = 4 << 20 // of the file; more was not written by a node
)

// book remembers the addresses of peers across restarts, so that a node finds
// its mesh again although every bootstrap node is gone. It is a hint: a lost
// or damaged file costs only the memory. Safe for concurrent use.
type book struct {
	path string

	mu    sync.Mutex          // owns the rest
	peers map[string]bookPeer // by the text form of the peer ID
	dirty bool
}

type bookPeer struct {
	Addresses []string  `json:"addresses"`
	LastSeen  time.Time `json:"last_seen"`
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
		b.peers[id.String()] = p
	}
	b.forgetOldest()
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

// remember notes that the peer was reached at addrs at the time now.
func (b *book) remember(id peer.ID, addrs []multiaddr.Multiaddr, now time.Time) {
	texts := make([]string, 0, len(addrs))
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	if len(texts) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peers[id.String()] = bookPeer{Addresses: texts[:min(len(texts), maxBookAddresses)], LastSeen: now.UTC().Truncate(time.Second)}
	b.dirty = true
	b.forgetOldest()
}

// forgetOldest keeps the book within its bound. Callers hold mu, or are the only
// ones to know the book.
func (b *book) forgetOldest() {
	for len(b.peers) > maxBookPeers {
		oldest, found := "", false
		for text, p := range b.peers {
			if !found || p.LastSeen.Before(b.peers[oldest].LastSeen) {
				oldest, found = text, true
			}
		}
		delete(b.peers, oldest)
	}
}

// all returns what is remembered, the peer seen last first.
func (b *book) all() []peer.AddrInfo {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]peer.AddrInfo, 0, len(b.peers))
	for text, p := range b.peers {
		id, err := peer.Decode(text)
		if err != nil {
			continue // openBook and remember keep none
		}
		info := peer.AddrInfo{ID: id}
		for _, text := range p.Addresses {
			if a, err := multiaddr.NewMultiaddr(text); err == nil {
				info.Addrs = append(info.Addrs, a)
			}
		}
		if len(info.Addrs) > 0 {
			out = append(out, info)
		}
	}
	slices.SortFunc(out, func(x, y peer.AddrInfo) int {
		return b.peers[y.ID.String()].LastSeen.Compare(b.peers[x.ID.String()].LastSeen)
	})
	return out
}

// lastSeen returns when the peer was reached last; zero if never.
func (b *book) lastSeen(id peer.ID) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.peers[id.String()].LastSeen
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
