package site

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

var (
	// ErrConfig says that a [Config] cannot be used, or a Site not a second time.
	ErrConfig = errors.New("site: bad configuration")
	// ErrProtocol says that a peer broke the protocol: its stream was ended.
	ErrProtocol = errors.New("site: protocol broken")
)

// Bounds and defaults of a [Config].
const (
	DefaultGateways = 1
	MaxGateways     = 8
	DefaultLease    = 15 * time.Second
	minLease        = time.Second
	maxLease        = time.Hour
)

// Config is what a Site is made of. Host is required.
type Config struct {
	// Host is the node's; its agent version should be [Agent] of Label.
	Host host.Host
	// Label is the operator's name of the site, see [ValidateLabel]; empty where
	// subnets are to tell.
	Label string
	// Gateways is how many members keep contact with the outside, 1 to
	// [MaxGateways]; default [DefaultGateways]. Members should agree on it.
	Gateways int
	// Lease is how long a member may fetch from outside without anything coming,
	// 1 s to 1 h; default [DefaultLease]. Narrow links need more: a turn that is
	// lost because a chunk takes long costs that chunk again.
	Lease time.Duration
	// Closed, if set, says whether a connection to the outside is on a link over
	// which nothing may be fetched now, by schedule or budget. A node all of whose
	// connections to the outside are closed has no contact: it hands its turns on
	// at once. It is called often, with no lock held; see [Site.Rescan].
	Closed func(network.Conn) bool
	// Logger receives what an operator wants to know; default: discarded.
	Logger *slog.Logger
}

// withDefaults returns c with its zero values filled in, or what is wrong.
func (c Config) withDefaults() (Config, error) {
	if c.Host == nil {
		return c, fmt.Errorf("%w: host is required", ErrConfig)
	}
	if err := ValidateLabel(c.Label); err != nil {
		return c, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if c.Gateways == 0 {
		c.Gateways = DefaultGateways
	}
	if c.Gateways < 1 || c.Gateways > MaxGateways {
		return c, fmt.Errorf("%w: %d gateways, want 1 to %d", ErrConfig, c.Gateways, MaxGateways)
	}
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Lease < minLease || c.Lease > maxLease {
		return c, fmt.Errorf("%w: lease of %s, want %s to %s", ErrConfig, c.Lease, minLease, maxLease)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
