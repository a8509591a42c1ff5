package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dunlin-mesh/dunlin/trust"
)

// MaxMeshBytes bounds the name of a mesh: it travels in each message.
const MaxMeshBytes = 32

var (
	// ErrConfig says that a Config cannot work; its text names the field.
	ErrConfig = errors.New("invalid gossip configuration")
	// ErrNotRunning says that Run has not started yet or has ended: try again
	// while it runs.
	ErrNotRunning = errors.New("gossip is not running")
	// ErrNotHeld says that a head is not the newest that the state holds:
	// apply its update first, then announce it.
	ErrNotHeld = errors.New("head is not the newest held")
	// ErrParole says that the peer has sent forged or malformed bytes and is
	// left alone for a time: use another peer, or come back later.
	ErrParole = errors.New("peer is on parole")
	// ErrProtocol says that a peer sent something that the protocol does not
	// allow. The peer is on parole now; use another one.
	ErrProtocol = errors.New("peer broke the sync protocol")
	// ErrBusy says that a peer has too many sessions: come back later.
	ErrBusy = errors.New("peer is busy")
)

// Judge decides about heads that come over the topic.
type Judge interface {
	// CheckHead says what a head is worth, without changing what is held.
	// [trust.Hostile] says whether the error, if there is one, is the fault of
	// whoever sent the head.
	CheckHead(trust.Head) (trust.Verdict, error)
	// Heads returns the newest verified head of each pinned publisher of which
	// anything is known, in any order.
	Heads() []trust.Head
}

// Ledger is what a node holds of the publishers that it pins.
type Ledger interface {
	// Publishers returns all pinned publishers, known or not, in any order.
	Publishers() []trust.Publisher
	// Have returns what is held of one publisher; the zero Have for nothing.
	Have(trust.Fingerprint) trust.Have
	// Update returns what somebody with the given Have lacks; false if that is
	// nothing. The result is shared and not changed.
	Update(trust.Fingerprint, trust.Have) (trust.Update, bool, error)
	// Apply verifies an update as a whole and keeps it, durably, or changes
	// nothing. It says whether anything changed.
	Apply(trust.Fingerprint, trust.Update) (changed bool, err error)
}

// State is the verified state that gossip keeps in step with other nodes.
// *trust.Registry implements it. It must be safe for concurrent use.
type State interface {
	Judge
	Ledger
}

// Site tells near peers from far ones. *site.Site implements it.
type Site interface {
	// Local says whether a connection stays inside the site, where bytes are
	// free. It is called often and from any goroutine.
	Local(network.Conn) bool
}

// anywhere is a Site without members: every connection leads outside.
type anywhere struct{}

func (anywhere) Local(network.Conn) bool { return false }

// Config says what a Gossip works with. All fields without a default are
// required.
type Config struct {
	// Host carries the streams. Gossip adds handlers for its protocols while
	// it runs and removes them when Run returns; it never closes the host.
	Host host.Host
	// Mesh names the mesh: 1 to MaxMeshBytes of a-z, 0-9, '-', '.', '_'. Nodes
	// of different meshes do not hear each other's announcements.
	Mesh string
	// Preset fits intervals and degrees to the links. Default: LAN.
	Preset Preset
	// State is the truth that is compared, updated and announced.
	State State
	// Site says which peers are of this node's own site: what several of them
	// are told at once is learnt by one of them from outside, and by the others
	// from that one. Default: nobody is.
	Site Site
	// OnChange is called after the state of a publisher has changed through a
	// peer, once per change, from any goroutine. It must return soon and must
	// not call Sync. Default: nothing.
	OnChange func(trust.Fingerprint)
	// Logger receives what an operator may want to know. Default: discarded.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Preset == "" {
		c.Preset = LAN
	}
	if c.Site == nil {
		c.Site = anywhere{}
	}
	if c.OnChange == nil {
		c.OnChange = func(trust.Fingerprint) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Host == nil:
		return c, fmt.Errorf("%w: no host", ErrConfig)
	case c.State == nil:
		return c, fmt.Errorf("%w: no state", ErrConfig)
	case !validMesh(c.Mesh):
		return c, fmt.Errorf("%w: mesh %.40q, want 1 to %d of a-z 0-9 - . _", ErrConfig, c.Mesh, MaxMeshBytes)
	}
	if _, err := c.Preset.params(); err != nil {
		return c, err
	}
	return c, nil
}

func validMesh(name string) bool {
	return len(name) > 0 && len(name) <= MaxMeshBytes &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}
