package gossip

import (
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Parole: a peer that sent forged or malformed bytes is left alone for
// paroleFirst, and paroleGrowth times longer with each further offence, at most
// paroleLongest. Its offences are forgotten once it has kept out of trouble for
// paroleLongest after the end of the last one.
const (
	paroleFirst    = time.Minute
	paroleGrowth   = 4
	paroleLongest  = 24 * time.Hour
	paroleMaxPeers = 4096
)

// parole remembers who misbehaved. Peers can make new identities for nothing,
// so this limits what one connection can cost and proves nothing.
type parole struct {
	mu    sync.Mutex
	peers map[peer.ID]offence // guarded by mu; at most paroleMaxPeers
}

type offence struct {
	until time.Time
	next  time.Duration // the next parole's length
}

func newParole() *parole { return &parole{peers: make(map[peer.ID]offence)} }

// until returns when p may be dealt with again; the past if it may be now.
func (l *parole) until(p peer.ID) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.peers[p].until
}

// blame begins the next parole of p and returns its end.
func (l *parole) blame(p peer.ID) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	o, known := l.peers[p]
	if !known && len(l.peers) >= paroleMaxPeers {
		l.evict(now)
	}
	if !known || now.Sub(o.until) > paroleLongest {
		o = offence{next: paroleFirst}
	}
	o.until = now.Add(o.next)
	o.next = min(o.next*paroleGrowth, paroleLongest)
	l.peers[p] = o
	return o.until
}

// evict makes room: it forgets all that is long over, or else whoever is free
// soonest.
func (l *parole) evict(now time.Time) {
	var soonest peer.ID
	for p, o := range l.peers {
		if now.Sub(o.until) > paroleLongest {
			delete(l.peers, p)
		} else if soonest == "" || o.until.Before(l.peers[soonest].until) {
			soonest = p
		}
	}
	if len(l.peers) >= paroleMaxPeers {
		delete(l.peers, soonest)
	}
}

// blame notes that p sent something that no honest peer sends.
func (g *Gossip) blame(p peer.ID, why error) {
	until := g.parole.blame(p)
	g.config.Logger.Warn("peer put on parole", slog.String("peer", p.String()), slog.Any("until", until), slog.Any("error", why))
}
