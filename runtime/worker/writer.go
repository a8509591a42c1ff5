//go:build unix

package worker

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// writer sends frames to a worker without ever waiting for it: what the socket
// does not take at once is kept, and sent by run. How much can be kept is
// bounded by the runs under way. Safe for concurrent use.
type writer struct {
	conn *net.UnixConn
	raw  syscall.RawConn
	wake chan struct{} // buffered: there is something for run to send

	mu    sync.Mutex
	queue [][]byte
	busy  bool // run is sending
}

func newWriter(conn *net.UnixConn) (*writer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &writer{conn: conn, raw: raw, wake: make(chan struct{}, 1)}, nil
}

// send sends a frame, which belongs to the writer from now on. Where the
// connection is broken it does nothing: whoever reads from it finds out.
func (w *writer) send(frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.busy && len(w.queue) == 0 {
		frame = frame[w.try(frame):]
	}
	if len(frame) == 0 {
		return
	}
	w.queue = append(w.queue, frame)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// try sends what the socket takes at once. The caller holds mu, and run sends
// nothing.
func (w *writer) try(frame []byte) (sent int) {
	err := w.raw.Write(func(fd uintptr) bool {
		for sent < len(frame) {
			n, err := syscall.Write(int(fd), frame[sent:])
			switch {
			case err == nil:
				sent += n
			case errors.Is(err, syscall.EINTR):
			case errors.Is(err, syscall.EAGAIN):
				return true
			default: // broken
				sent = len(frame)
			}
		}
		return true
	})
	if err != nil { // closed
		return len(frame)
	}
	return sent
}

// run sends what was kept, until stop is closed or the connection breaks.
func (w *writer) run(stop <-chan struct{}) {
	for {
		select {
		case <-w.wake:
		case <-stop:
			return
		}
		for {
			w.mu.Lock()
			queue := w.queue
			w.queue, w.busy = nil, len(queue) > 0
			w.mu.Unlock()
			if len(queue) == 0 {
				break
			}
			buffers := net.Buffers(queue)
			if _, err := buffers.WriteTo(w.conn); err != nil {
				return // busy for ever: nothing more can be sent
			}
		}
	}
}
