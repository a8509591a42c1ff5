package testnet_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// meter is a TCP relay in front of a node that counts what passes, all
// protocols and their encryption included, without IP and TCP headers.
type meter struct {
	listener net.Listener
	target   string
	bytes    atomic.Int64
	group    sync.WaitGroup

	mu    sync.Mutex // owns conns
	conns []net.Conn
}

func newMeter(t testing.TB, target string) *meter {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{listener: l, target: target}
	m.group.Go(m.accept)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		m.mu.Lock()
		for _, c := range m.conns {
			c.Close()
		}
		m.mu.Unlock()
		m.group.Wait()
	})
	return m
}

func (m *meter) accept() {
	for {
		in, err := m.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", m.target) //nolint:noctx // the target is on this machine
		if err != nil {
			in.Close()
			continue
		}
		m.mu.Lock()
		m.conns = append(m.conns, in, out)
		m.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			m.group.Go(func() {
				// However it ends, the other direction ends with it.
				_, _ = io.Copy(counting{pair[0], &m.bytes}, pair[1])
				in.Close()
				out.Close()
			})
		}
	}
}

type counting struct {
	io.Writer
	bytes *atomic.Int64
}

func (c counting) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.bytes.Add(int64(n))
	return n, err
}

// through returns the node's address with the meter in front of it.
func through(t testing.TB, addr string) (string, *meter) {
	t.Helper()
	full, err := multiaddr.NewMultiaddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	transport, id := multiaddr.SplitLast(full)
	target, err := manet.ToNetAddr(transport)
	if err != nil {
		t.Fatal(err)
	}
	m := newMeter(t, target.String())
	relay, err := manet.FromNetAddr(m.listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return relay.Encapsulate(id.Multiaddr()).String(), m
}

// Announcing and updating a release whose chunks are all present costs under
// 6 kB in both directions together, on a connection that stands.
func TestUpdateWithNothingToFetchIsCheap(t *testing.T) {
	const most = 6000
	for _, preset := range []string{"lan", "wan", "narrow", "satellite"} {
		t.Run(preset, func(t *testing.T) {
			fleet, dir := newFleet(t)
			publisher, root := startPublisher(t, fleet, dir, "--preset", preset)
			first, second := filepath.Join(dir, "first.bin"), filepath.Join(dir, "second.bin")
			randomFile(t, first, 1<<20)
			data, err := os.ReadFile(first)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(second, data, 0o600); err != nil {
				t.Fatal(err)
			}
			must(t, publisher, "publish", first, "--model", "acme/m", "--version", "1")

			relay, m := through(t, address(t, publisher))
			a, err := fleet.Add(t.Context(), "a", "--preset", preset, "--no-runtime", "--bootstrap", relay)
			if err != nil {
				t.Fatal(err)
			}
			must(t, a, "trust", "add", root)
			must(t, a, "follow", "acme/m")
			if err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			must(t, a, "wait", "acme/m@1", "--timeout", "1m")

			before := m.bytes.Load()
			if before < 1<<20 {
				t.Fatalf("the meter saw %d bytes of a 1 MiB release: it is not in between", before)
			}
			must(t, publisher, "publish", second, "--model", "acme/m", "--version", "2")
			must(t, a, "wait", "acme/m@2", "--timeout", "3m")
			if path := must(t, a, "path", "acme/m"); !strings.HasSuffix(strings.TrimSpace(path), "second.bin") {
				t.Errorf("path is %s after the update", path)
			}
			cost := m.bytes.Load() - before
			t.Logf("%s: update cost %d bytes on the wire", preset, cost)
			if cost > most {
				t.Errorf("%d bytes, want at most %d", cost, most)
			}
		})
	}
}
