package node

import (
	"context"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	manet "github.com/multiformats/go-multiaddr/net"
)

// silence is how quiet an idle connection is, and how its end is found.
//
// A connection that says nothing is free; what keeps it busy is only the wish to
// know that it lives. TCP's keep-alive (which libp2p sets to 30 s) and yamux's
// two (a ping every 30 s, and another to measure the round trip) cost about
// 1,300 bytes a minute with all headers, whoever needs to know. Here one ping
// remains, at the pace of the preset and at the latest while NATs remember a
// connection (RFC 5382 asks for two hours, many do five minutes). A connection
// that is asked for something meanwhile is found dead by the bytes that nobody
// acknowledges (unacked), or by whoever waits for the answer.
type silence struct {
	ping    time.Duration // of silence, until one end asks the other
	answer  time.Duration // how long the answer to that, or one write, may take
	unacked time.Duration // how long what was sent may go without acknowledgement
}

// silence returns what the preset allows. Links that lose 20 % at 600 ms
// acknowledge within half a minute; a write of 64 KiB takes a minute at 9.6 kbit/s.
func (p Preset) silence() silence {
	switch p {
	case WAN:
		return silence{ping: 4 * time.Minute, answer: time.Minute, unacked: time.Minute}
	case Narrow:
		return silence{ping: 15 * time.Minute, answer: 3 * time.Minute, unacked: 3 * time.Minute}
	case Satellite:
		return silence{ping: 30 * time.Minute, answer: 3 * time.Minute, unacked: 3 * time.Minute}
	default:
		return silence{ping: 30 * time.Second, answer: 15 * time.Second, unacked: 30 * time.Second}
	}
}

// muxer is yamux at the pace of the link that a connection runs over: that of a
// LAN for what is nearby, that of the preset for the rest.
type muxer struct {
	near, far yamux.Transport
}

func newMuxer(p Preset) *muxer {
	return &muxer{near: yamuxAt(LAN.silence()), far: yamuxAt(p.silence())}
}

func yamuxAt(s silence) yamux.Transport {
	y := *yamux.DefaultTransport
	y.MaxStreamWindowSize = streamWindow
	y.KeepAliveInterval = s.ping
	y.ConnectionWriteTimeout = s.answer
	// The round trip is measured once when the connection starts. It only tunes
	// windows.
	y.MeasureRTTInterval = 365 * 24 * time.Hour
	return y
}

// NewConn implements network.Multiplexer.
func (m *muxer) NewConn(c net.Conn, server bool, scope network.PeerScope) (network.MuxedConn, error) {
	if nearbyNet(c.RemoteAddr()) {
		return m.near.NewConn(c, server, scope)
	}
	return m.far.NewConn(c, server, scope)
}

// newTCP makes libp2p's TCP transport, whose connections keep the silence of
// the preset.
func newTCP(p Preset) func(transport.Upgrader, network.ResourceManager) (zonedTCP, error) {
	return func(u transport.Upgrader, resources network.ResourceManager) (zonedTCP, error) {
		t, err := tcp.NewTCPTransport(&quietUpgrader{u, p.silence(), nearbyNet}, resources, nil,
			// Two nodes on one port would take each other's callers.
			tcp.DisableReuseport(), tcp.WithConnectionTimeout(p.pace().connect))
		return zonedTCP{t}, err
	}
}

// quietUpgrader sets the options of TCP connections, after the transport has and
// before anything is said on them.
type quietUpgrader struct {
	transport.Upgrader
	silence silence
	near    func(net.Addr) bool
}

// Upgrade implements transport.Upgrader for connections that were dialled.
func (u *quietUpgrader) Upgrade(ctx context.Context, t transport.Transport, c manet.Conn, dir network.Direction, p peer.ID, scope network.ConnManagementScope) (transport.CapableConn, error) {
	u.quiet(c)
	return u.Upgrader.Upgrade(ctx, t, c, dir, p, scope)
}

// UpgradeGatedMaListener implements transport.Upgrader for those accepted.
func (u *quietUpgrader) UpgradeGatedMaListener(t transport.Transport, l transport.GatedMaListener) transport.Listener {
	return u.Upgrader.UpgradeGatedMaListener(t, &quietListener{l, u})
}

type quietListener struct {
	transport.GatedMaListener
	upgrader *quietUpgrader
}

// Accept implements transport.GatedMaListener.
func (l *quietListener) Accept() (manet.Conn, network.ConnManagementScope, error) {
	c, scope, err := l.GatedMaListener.Accept()
	if err == nil {
		l.upgrader.quiet(c)
	}
	return c, scope, err
}

// quiet switches the keep-alive of TCP off, except for peers nearby, and has the
// kernel give up on what is not acknowledged. An option that the kernel refuses
// costs bytes or time and no connection.
func (u *quietUpgrader) quiet(c manet.Conn) {
	if u.near(c.RemoteAddr()) {
		return
	}
	if alive, ok := c.(interface{ SetKeepAlive(bool) error }); ok {
		_ = alive.SetKeepAlive(false)
	}
	setUnacked(c, u.silence.unacked)
}
