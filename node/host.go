package node

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"

	"github.com/dunlin-mesh/dunlin/site"
)

// Bounds of what peers may make a node hold.
const (
	minConns        = 96 // over maxNear, maxOutside and some that call
	maxConns        = 128
	maxHostMemory   = 48 << 20 // of libp2p's buffers, in sum
	streamWindow    = 2 << 20  // of yamux: 2 MiB in flight fill 20 Mbit/s at 800 ms
	maxOpenFiles    = 256
	connGracePeriod = 20 * time.Second
)

// newHost makes the libp2p host: TCP with Noise or TLS over yamux, and QUIC.
//
// Which handshake a dialer tries first depends on the preset: TLS where bytes
// are free (AES is the faster cipher on most machines), Noise where they are
// not (its handshake is about 1 kB shorter: it sends no certificate).
func newHost(c Config, key crypto.PrivKey, counter metrics.Reporter, r *relays) (host.Host, error) {
	security := []libp2p.Option{libp2p.Security(noise.ID, noise.New), libp2p.Security(libp2ptls.ID, libp2ptls.New)}
	if c.Preset == LAN {
		security[0], security[1] = security[1], security[0]
	}
	conns, err := connmgr.NewConnManager(minConns, maxConns, connmgr.WithGracePeriod(connGracePeriod))
	if err != nil {
		return nil, fmt.Errorf("connection manager: %w", err)
	}
	resources, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits()), rcmgr.WithMetricsDisabled())
	if err != nil {
		return nil, fmt.Errorf("resource manager: %w", err)
	}
	pace := c.Preset.pace()
	options := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.Transport(newTCP(c.Preset)),
		libp2p.Transport(newQUIC),
		libp2p.Muxer(yamux.ID, newMuxer(c.Preset)),
		libp2p.WithDialTimeout(pace.dial),
		libp2p.SwarmOpts(
			swarm.WithDialRanker(c.Preset.ranker(nearbyAddress)),
			swarm.WithDialTimeoutLocal(pace.dial), // of private addresses, which may lie anywhere
		),
		libp2p.ChainOptions(security...),
		libp2p.ConnectionManager(conns),
		libp2p.ResourceManager(resources),
		libp2p.BandwidthReporter(counter),
		libp2p.UserAgent(site.Agent(Version, c.Site)),
		libp2p.EnableRelay(), // as a client of it
		libp2p.EnableHolePunching(),
		libp2p.AddrsFactory(r.addrs),
		libp2p.DisableMetrics(),
	}
	if c.listensNowhere() {
		options = append(options, libp2p.NoListenAddrs)
	} else {
		options = append(options, libp2p.ListenAddrStrings(c.Listen...))
	}
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, fmt.Errorf("start the network: %w (listen elsewhere with `dunlin init --listen` or in config.json)", err)
	}
	return h, nil
}

// limits are libp2p's defaults for the smallest machine, with room for the
// windows of a few fast transfers.
func limits() rcmgr.ConcreteLimitConfig {
	scaled := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&scaled)
	fixed := scaled.Scale(maxHostMemory, maxOpenFiles)
	partial := rcmgr.PartialLimitConfig{
		System:      rcmgr.ResourceLimits{Memory: maxHostMemory, Conns: maxConns * 2, ConnsInbound: maxConns, ConnsOutbound: maxConns, Streams: 2048, StreamsInbound: 1024, StreamsOutbound: 1024},
		Transient:   rcmgr.ResourceLimits{Memory: maxHostMemory / 4},
		PeerDefault: rcmgr.ResourceLimits{Memory: maxHostMemory / 2, StreamsInbound: 128, StreamsOutbound: 128, Streams: 256},
	}
	return partial.Build(fixed)
}
