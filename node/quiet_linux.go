package node

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// setUnacked makes the kernel end the connection when what was sent has not been
// acknowledged for so long (TCP_USER_TIMEOUT, RFC 5482). It sends nothing.
func setUnacked(c any, limit time.Duration) {
	raw, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return
	}
	_ = control.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
	})
}
