package node

import (
	"net"
	"syscall"
	"testing"
	"time"

	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/sys/unix"
)

// Outside, TCP keeps no connection alive and gives up on what is not
// acknowledged; nearby it is left as libp2p has it.
func TestQuietTCP(t *testing.T) {
	for _, near := range []bool{false, true} {
		l, err := manet.Listen(addrs("/ip4/127.0.0.1/tcp/0")[0])
		if err != nil {
			t.Fatal(err)
		}
		c, err := manet.Dial(l.Multiaddr())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.(interface{ SetKeepAlive(bool) error }).SetKeepAlive(true); err != nil {
			t.Fatal(err)
		}
		(&quietUpgrader{silence: WAN.silence(), near: func(net.Addr) bool { return near }}).quiet(c)
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var alive, unacked int
		if err := raw.Control(func(fd uintptr) {
			alive, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			unacked, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		}); err != nil {
			t.Fatal(err)
		}
		if near != (alive != 0) || near != (unacked == 0) || (!near && time.Duration(unacked)*time.Millisecond != WAN.silence().unacked) {
			t.Errorf("nearby %t: keep-alive %d, unacknowledged for %d ms", near, alive, unacked)
		}
		_ = c.Close()
		_ = l.Close()
	}
}
