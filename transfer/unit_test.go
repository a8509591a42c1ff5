package transfer

import (
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

func TestConfig(t *testing.T) {
	h, s := newHost(t), newMemStore()
	for name, edit := range map[string]func(*Config){
		"no host":       func(c *Config) { c.Host = nil },
		"no store":      func(c *Config) { c.Store = nil },
		"unknown link":  func(c *Config) { c.Link = "pigeon" },
		"much memory":   func(c *Config) { c.MemoryBytes = 1 << 40 },
		"little memory": func(c *Config) { c.MemoryBytes = 1 },
		"sessions":      func(c *Config) { c.MaxSessions = -1 },
		"negative time": func(c *Config) { c.Parole = -1 },
	} {
		cfg := Config{Host: h, Store: s}
		edit(&cfg)
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
	n, err := New(Config{Host: h, Store: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Fetch(t.Context(), Job{}); !errors.Is(err, ErrConfig) {
		t.Errorf("job without a release: %v, want ErrConfig", err)
	}
}

func TestLinks(t *testing.T) {
	for _, name := range []string{"lan", "wan", "narrow", "satellite"} {
		if l, err := ParseLink(name); err != nil || string(l) != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseLink("LAN"); err == nil {
		t.Error("LAN in upper case was taken")
	}
	if dearer(LAN, Narrow) != Narrow || dearer(Satellite, WAN) != Satellite {
		t.Error("the dearer link is not the dearer one")
	}
}

// TestWindow: doubles and more while it limits, stays where the link limits,
// and shrinks when the link does.
func TestWindow(t *testing.T) {
	w := window{least: 64 << 10, most: 8 << 20}
	now := time.Unix(0, 0)
	run := func(rounds int, linkBytesPerSecond float64) {
		for range rounds {
			w.asked(now)
			now = now.Add(600 * time.Millisecond)
			w.sample(600 * time.Millisecond)
			w.received(int(min(float64(w.size()), linkBytesPerSecond*0.6)), now, false)
		}
	}
	if w.size() != 64<<10 {
		t.Errorf("begins at %d bytes", w.size())
	}
	run(6, 1e9)
	if w.size() != 8<<20 {
		t.Errorf("%d bytes after 6 rounds of growth, want the most", w.size())
	}
	run(20, 1e6)
	if want := int(2 * 1e6 * 0.6); w.size() < want*9/10 || w.size() > want*11/10 {
		t.Errorf("%d bytes at 1 MB/s, want about %d", w.size(), want)
	}
	run(50, 1000)
	if w.size() != 64<<10 {
		t.Errorf("%d bytes at 1 kB/s, want the least", w.size())
	}
}

// TestShares: each chunk is in exactly one share, shares are about equal, and
// when a fetcher leaves only its share moves.
func TestShares(t *testing.T) {
	fetchers := []uint64{seedOf([]byte("a")), seedOf([]byte("b")), seedOf([]byte("c")), seedOf([]byte("d"))}
	owner := func(of []uint64, key uint64) int {
		at := -1
		for k, f := range of {
			if mine(f, of, key) {
				if at >= 0 {
					t.Fatalf("key %d belongs to %d and %d", key, at, k)
				}
				at = k
			}
		}
		return at
	}
	var counts [4]int
	for key := range uint64(4000) {
		k := owner(fetchers, key)
		counts[k]++
		if without := owner(fetchers[:3], key); k < 3 && without != k {
			t.Fatalf("key %d went from %d to %d when another fetcher left", key, k, without)
		}
	}
	for k, n := range counts {
		if n < 850 || n > 1150 {
			t.Errorf("share of %d: %d of 4000", k, n)
		}
	}
	if a, b := shareKey(7, 0, 10000), shareKey(7, shareRun-1, 10000); a != b {
		t.Error("runs of a long file are cut")
	}
	if shareKey(7, 0, 64) == shareKey(7, 1, 64) {
		t.Error("chunks of a short file are not shared out")
	}
}

func TestLayoutsAreBounded(t *testing.T) {
	store := newMemStore()
	l := newLayouts(store.Block)
	var cids []manifest.CID
	for n := range 40 {
		layout := &manifest.Layout{Schema: 1, Format: "bytes", Size: 1<<36 + uint64(n), Chunk: manifest.MinChunkBytes}
		b := encode(t, layout)
		_ = store.PutBlock(b)
		cids = append(cids, b.CID)
		if _, err := l.get(b.CID); err != nil {
			t.Fatal(err)
		}
	}
	if l.cost > layoutMemory || len(l.byCID) != l.order.Len() || len(l.byCID) == 0 {
		t.Errorf("%d bytes in %d layouts", l.cost, len(l.byCID))
	}
	if _, err := l.get(cids[0]); err != nil {
		t.Errorf("a layout that was dropped: %v", err)
	}
	huge := encode(t, &manifest.Layout{Schema: 1, Format: "bytes", Size: manifest.MaxFileBytes, Chunk: manifest.MinChunkBytes})
	_ = store.PutBlock(huge)
	if _, err := l.get(huge.CID); !errors.Is(err, manifest.ErrFormat) {
		t.Errorf("a layout of 2^28 chunks: %v, want ErrFormat", err)
	}
}

func TestPeerRecordsAreBounded(t *testing.T) {
	p := newPeers(time.Minute)
	bad := p.get("bad", WAN, 1)
	p.punish(bad, ErrCorrupt)
	p.put(bad)
	used := p.get("used", WAN, 1)
	for i := range 3 * maxPeers {
		p.put(p.get(peer.ID(rune(i)), WAN, 1))
	}
	if len(p.byID) > maxPeers {
		t.Errorf("%d records", len(p.byID))
	}
	if p.pausedUntil("bad").IsZero() {
		t.Error("many strangers made the node forget a parole")
	}
	if p.byID["used"] != used {
		t.Error("a record in use was dropped")
	}
}
