package transfer

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Config is what a [Transfer] needs. Zero values mean the default given.
type Config struct {
	// Host carries the streams; required. The caller closes it, after Run
	// returned.
	Host host.Host
	// Store gives and takes blocks and chunks; required.
	Store Store
	// Link is the class of this node's links to peers that are not on the same
	// machine or subnet; default WAN. Those that are count as LAN.
	Link Link
	// Site, if set, says who is near and whose turn it is to fetch from outside.
	// Without, peers on this machine or subnet are near, and it is always this
	// node's turn.
	Site Site
	// Paths, if set, knows the operator's links: their classes, rates, budgets and
	// schedules. Without, every connection outside of the site is on a link of
	// the class Link, without bounds.
	Paths Paths
	// Discreet keeps this transfer from telling peers where others may be reached,
	// and from connecting to whom it is told of. It then serves each delta itself.
	Discreet bool
	// MaxSessions bounds the sessions served at once, 1 to 4096; default 64. A
	// peer beyond it hears "busy".
	MaxSessions int
	// MaxSessionsPerPeer bounds those of one peer, 1 to 64; default 8. It must
	// be at least the number of releases that a peer fetches at once, plus one.
	MaxSessionsPerPeer int
	// MaxWindowBytes bounds what is asked of one peer and not answered yet,
	// 1 MiB to 64 MiB; default 8 MiB, which fills 100 Mbit/s at 600 ms.
	MaxWindowBytes int
	// MemoryBytes bounds the chunk bytes in flight and in buffers, once for
	// everything that is fetched and once for everything that is served, 4 MiB
	// to 1 GiB; default 16 MiB.
	MemoryBytes int
	// NoProgress is how long a peer that owes an answer may send nothing (less
	// than 4 KiB) before it is dropped; default by class of link, 10 s (LAN) to
	// 90 s (Satellite).
	NoProgress time.Duration
	// Parole is how long a peer that sent bad bytes is left alone the first
	// time; it doubles each time up to a day. Default one minute.
	Parole time.Duration
	// OnBadPeer, if set, hears of each peer that was dropped and why: the error
	// wraps ErrCorrupt, ErrProtocol or ErrStalled. It must not block.
	OnBadPeer func(peer.ID, error)
	// Delta, if set, makes and takes deltas.
	Delta *DeltaConfig
	// Logger receives what an operator wants to know; default: discarded.
	Logger *slog.Logger
}

// withDefaults returns c with its zero values filled in, or what is wrong.
func (c Config) withDefaults() (Config, error) {
	if c.Host == nil || c.Store == nil {
		return c, fmt.Errorf("%w: host and store are required", ErrConfig)
	}
	if c.Link == "" {
		c.Link = WAN
	}
	if _, err := ParseLink(string(c.Link)); err != nil {
		return c, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	for _, f := range []struct {
		name             string
		value            *int
		least, most, def int
	}{
		{"max sessions", &c.MaxSessions, 1, 4096, 64},
		{"max sessions per peer", &c.MaxSessionsPerPeer, 1, 64, 8},
		{"max window bytes", &c.MaxWindowBytes, 1 << 20, 64 << 20, 8 << 20},
		{"memory bytes", &c.MemoryBytes, 4 << 20, 1 << 30, 16 << 20},
	} {
		if *f.value == 0 {
			*f.value = f.def
		}
		if *f.value < f.least || *f.value > f.most {
			return c, fmt.Errorf("%w: %s %d, want %d to %d", ErrConfig, f.name, *f.value, f.least, f.most)
		}
	}
	if c.NoProgress < 0 || c.Parole < 0 {
		return c, fmt.Errorf("%w: negative duration", ErrConfig)
	}
	if c.Parole == 0 {
		c.Parole = time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
