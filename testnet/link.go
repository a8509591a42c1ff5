package testnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const linkBuffer = 4 << 10 // what a slow link passes on at once

// Link is a TCP relay in front of a node that passes on what it gets no faster
// than its rate, and counts it: all protocols with their encryption, without
// the headers of IP and TCP. Make one with NewLink. Safe for concurrent use.
type Link struct {
	address  string
	target   string
	rate     atomic.Int64 // bytes a second and direction, 0 for no bound
	bytes    atomic.Int64
	listener net.Listener
	group    sync.WaitGroup

	mu     sync.Mutex // owns the rest
	conns  map[net.Conn]bool
	closed bool
}

// NewLink makes a link to the node that listens on address, a multiaddr of a
// TCP port ending in /p2p/PEERID, that carries bytesPerSecond in each direction
// and connection; 0 for as much as there is. The caller closes it.
func NewLink(ctx context.Context, address string, bytesPerSecond int64) (*Link, error) {
	full, err := multiaddr.NewMultiaddr(address)
	if err != nil {
		return nil, fmt.Errorf("link to %s: %w", address, err)
	}
	transport, id := multiaddr.SplitLast(full)
	target, err := manet.ToNetAddr(transport)
	if err != nil {
		return nil, fmt.Errorf("link to %s: %w", address, err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("link to %s: %w", address, err)
	}
	here, err := manet.FromNetAddr(listener.Addr())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("link to %s: %w", address, err), listener.Close())
	}
	l := &Link{
		address: here.Encapsulate(id.Multiaddr()).String(), target: target.String(),
		listener: listener, conns: make(map[net.Conn]bool),
	}
	l.rate.Store(bytesPerSecond)
	l.group.Go(l.accept)
	return l, nil
}

// Address returns the multiaddr by which the node is reached over the link.
func (l *Link) Address() string { return l.address }

// Bytes returns what has passed so far, both directions together.
func (l *Link) Bytes() int64 { return l.bytes.Load() }

// SetRate changes what the link carries from now on, as NewLink understands it.
func (l *Link) SetRate(bytesPerSecond int64) { l.rate.Store(bytesPerSecond) }

// Close cuts the link and waits until nothing of it is left.
func (l *Link) Close() error {
	err := l.listener.Close()
	l.mu.Lock()
	l.closed = true
	for c := range l.conns {
		err = errors.Join(err, c.Close())
	}
	l.mu.Unlock()
	l.group.Wait()
	return err
}

func (l *Link) accept() {
	var dialer net.Dialer
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		out, err := dialer.DialContext(context.Background(), "tcp", l.target)
		if err != nil {
			_ = in.Close() // the caller sees a node that is not there
			continue
		}
		if !l.keep(in, out) {
			return
		}
		l.group.Go(func() { l.relay(in, out) })
		l.group.Go(func() { l.relay(out, in) })
	}
}

// keep notes connections, so that Close can cut them.
func (l *Link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if l.closed {
			_ = c.Close()
			continue
		}
		l.conns[c] = true
	}
	return !l.closed
}

// relay passes on one direction until either end closes, and then closes both.
func (l *Link) relay(from, to net.Conn) {
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, c := range []net.Conn{from, to} {
			if l.conns[c] {
				delete(l.conns, c)
				_ = c.Close() // the other direction ends with it
			}
		}
	}()
	buf := make([]byte, linkBuffer)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			l.bytes.Add(int64(n))
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
			if rate := l.rate.Load(); rate > 0 {
				time.Sleep(time.Duration(int64(n) * int64(time.Second) / rate))
			}
		}
		if err != nil {
			return
		}
	}
}
