package transfer

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Paths knows the operator's links. Safe for concurrent use.
type Paths interface {
	// Path returns the link that a connection is on. It is cheap, and called
	// often.
	Path(network.Conn) Path
}

// Path is the link that a connection is on.
type Path struct {
	// Link is its class.
	Link Link
	// Metered says that its bytes cost money: they count for more than time.
	Metered bool
	// Named says that the operator named this connection's addresses; without,
	// it is the link of everything else.
	Named bool
	// Meter lets bytes pass; nil for a link without any bound.
	Meter Meter
}

// Meter bounds what passes over a link. Safe for concurrent use.
type Meter interface {
	// Admit says whether a session for the use may begin and ask for something,
	// and for how many bytes on the stream; or else why not, in a *[WaitError].
	Admit(Use) (left int64, err error)
	// Take counts n bytes on the stream. Of bytes that are to go up it grants
	// some, which may be sent after the wait; none, with a *[WaitError], if the
	// link is closed. Bytes that came down are counted in any case; nothing more
	// is to be read before the wait, or at all after an error.
	Take(use Use, n int, up bool) (granted int, wait time.Duration, err error)
}

// Use is what a session is for.
type Use struct {
	// Release is what is fetched; undefined for blocks and for what is served.
	Release manifest.CID
	// Kind says what moves.
	Kind UseKind
}

// UseKind says what moves on a session.
type UseKind int

// The kinds of use.
const (
	UseBlocks UseKind = iota // manifests, layouts and digests come
	UseDelta                 // a delta comes
	UseChunks                // chunks come
	UseServe                 // a peer is served
)

// WaitError says that a link is closed for a use: for now, or until the operator
// says otherwise.
type WaitError struct {
	// Reason is for people: "waits until 22:00 on link sat".
	Reason string
	// Until is when to look again; zero if no time is known.
	Until time.Time
}

// Error returns the reason.
func (e *WaitError) Error() string { return e.Reason }

// pathsAgain is how often it is looked up, on this machine, whether a link that
// was closed has opened.
const pathsAgain = time.Second

// admit returns nil if a session over the connection may begin.
func (t *Transfer) admitPath(c network.Conn, use Use) error {
	m := t.pathOf(c).Meter
	if m == nil {
		return nil
	}
	_, err := m.Admit(use)
	return err
}

// closedTo says whether every connection to the peer is on a link that is closed
// for the use.
func (t *Transfer) closedTo(id peer.ID, use Use) bool {
	if t.cfg.Paths == nil {
		return false
	}
	conns := t.cfg.Host.Network().ConnsToPeer(id)
	for _, c := range conns {
		if t.admitPath(c, use) == nil {
			return false
		}
	}
	return len(conns) > 0
}

// refusal returns for how many seconds a peer is to be told to stay away because
// of the link it came over; 0 if it is welcome.
func (t *Transfer) refusal(c network.Conn) uint32 {
	err := t.admitPath(c, Use{Kind: UseServe})
	if err == nil {
		return 0
	}
	retry := time.Duration(maxBusyRetry) * time.Second
	if wait, ok := err.(*WaitError); ok && !wait.Until.IsZero() { //nolint:errorlint // made by the meter, never wrapped
		retry = min(retry, time.Until(wait.Until)+time.Second)
	}
	return uint32(max(retry/time.Second, 1))
}

// maxBusyRetry is the longest that a peer may be told to stay away, in seconds.
const maxBusyRetry = 600

// Path returns the link of a connection as this transfer judges it: the site
// first, then the operator's word, then this machine's subnets.
func (t *Transfer) Path(c network.Conn) Path { return t.pathOf(c) }

// metered says whether bytes to and from the peer cost money on every
// connection to it.
func (t *Transfer) metered(id peer.ID) bool {
	conns := t.cfg.Host.Network().ConnsToPeer(id)
	for _, c := range conns {
		if !t.pathOf(c).Metered {
			return false
		}
	}
	return len(conns) > 0
}

// String names the kind.
func (k UseKind) String() string {
	switch k {
	case UseBlocks:
		return "blocks"
	case UseDelta:
		return "delta"
	case UseChunks:
		return "chunks"
	case UseServe:
		return "serve"
	}
	return fmt.Sprintf("use %d", int(k))
}
