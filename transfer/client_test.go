package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// dialRaw opens a session by hand.
func dialRaw(t *testing.T, from host.Host, to peer.ID) *conn {
	t.Helper()
	s, err := from.NewStream(network.WithNoDial(within(t, time.Hour), "test"), to, ProtocolID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Reset() })
	return newConn(s, 64<<10, time.Hour, time.Hour)
}

func mustSend(t *testing.T, c *conn, messages ...*message) {
	t.Helper()
	for _, m := range messages {
		if err := c.send(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.flush(); err != nil {
		t.Fatal(err)
	}
}

func greeting() *message {
	return &message{Hello: &hello{Version: Version, Link: WAN, MaxFrame: 4 << 20}}
}

func opening(r *release) *message {
	return &message{Open: &open{Release: r.manifest.CID, Files: []manifest.FileID{r.files[0].ID()}}}
}

// untilEnd reads until the session ends and returns the last fault.
func untilEnd(c *conn) (last *faultAt, err error) {
	for {
		m, err := c.receive(0)
		if err != nil {
			return last, err
		}
		if m.Fault != nil {
			last = m.Fault
		}
		if m.Frame != nil {
			if _, err := io.CopyN(io.Discard, c.in, int64(m.Frame.Bytes)); err != nil {
				return last, err
			}
		}
	}
}

// TestRogueClients: whoever breaks the protocol is told, and dropped.
func TestRogueClients(t *testing.T) {
	r := makeRelease(t, 40, 1<<20)
	request := func(file uint32, from, to int) *message {
		return &message{Request: &ranges{File: file, Chunks: manifest.NewRanges(from, to)}}
	}
	for _, tt := range []struct {
		name string
		talk func(t *testing.T, c *conn)
	}{
		{"no hello", func(t *testing.T, c *conn) { mustSend(t, c, opening(r)) }},
		{"giant range", func(t *testing.T, c *conn) { mustSend(t, c, greeting(), opening(r), request(0, 0, 1<<27)) }},
		{"file not open", func(t *testing.T, c *conn) { mustSend(t, c, greeting(), request(0, 0, 1)) }},
		{"empty request", func(t *testing.T, c *conn) { mustSend(t, c, greeting(), opening(r), request(0, 0, 0)) }},
		{"a server's message", func(t *testing.T, c *conn) { mustSend(t, c, greeting(), &message{Block: &block{}}) }},
		{"flood of requests", func(t *testing.T, c *conn) {
			mustSend(t, c, greeting(), opening(r))
			for range 100 * maxQueued {
				if c.send(request(0, 0, 8)) != nil || c.flush() != nil {
					return
				}
			}
		}},
		{"flood of files", func(t *testing.T, c *conn) {
			o := opening(r)
			for len(o.Open.Files) < maxOpenFiles {
				o.Open.Files = append(o.Open.Files, o.Open.Files[0])
			}
			mustSend(t, c, greeting())
			for range maxFiles/maxOpenFiles + 1 {
				if c.send(o) != nil || c.flush() != nil {
					return
				}
			}
		}},
		{"flood of wants", func(t *testing.T, c *conn) {
			w := &want{}
			for range maxWants {
				w.Blocks = append(w.Blocks, r.manifest.CID)
			}
			mustSend(t, c, greeting())
			for range 1000 {
				if c.send(&message{Want: w}) != nil || c.flush() != nil {
					return
				}
			}
		}},
		{"huge message", func(t *testing.T, c *conn) {
			_, _ = c.out.Write(binary.AppendUvarint(nil, 1<<60))
			_ = c.flush()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := link{100 * mbit, 5 * time.Millisecond}
				hosts := simHosts(t, l, l)
				a := newNode(t, hosts[0], r.seed(newMemStore(), nil))
				connect(t, hosts[1], a.host)
				c := dialRaw(t, hosts[1], a.host.ID())
				start := time.Now()
				tt.talk(t, c)
				fault, err := untilEnd(c)
				if err == nil || time.Since(start) > time.Minute {
					t.Errorf("session went on for %s", time.Since(start))
				}
				if fault != nil && fault.Code != faultMalformed {
					t.Errorf("fault %+v, want malformed", fault)
				}
				if err := a.badPeer(hosts[1].ID()); !errors.Is(err, ErrProtocol) {
					t.Errorf("dropped for %v, want ErrProtocol", err)
				}
				// While it is on parole it is not served.
				c = dialRaw(t, hosts[1], a.host.ID())
				mustSend(t, c, greeting())
				if fault, _ := untilEnd(c); fault == nil || fault.Code != faultBusy || fault.Retry == 0 {
					t.Errorf("fault %+v, want busy with a time to retry", fault)
				}
				a.stop()
			})
		})
	}
}

// TestSlowClients: a client that dribbles its message, idles, or does not read
// loses its session, and meanwhile others are served.
func TestSlowClients(t *testing.T) {
	r := makeRelease(t, 41, 8<<20)
	for _, tt := range []struct {
		name string
		talk func(t *testing.T, c *conn)
		most time.Duration
		told bool
	}{
		{"nothing", func(*testing.T, *conn) {}, time.Minute, true},
		{"half a message", func(t *testing.T, c *conn) {
			mustSend(t, c, greeting())
			_, _ = c.out.Write([]byte{100, 1, 2, 3})
			_ = c.flush()
		}, time.Minute, true},
		{"idle", func(t *testing.T, c *conn) { mustSend(t, c, greeting(), opening(r)) }, idleSession + time.Minute, true},
		{"does not read", func(t *testing.T, c *conn) {
			mustSend(t, c, greeting(), opening(r), &message{Request: &ranges{Chunks: manifest.NewRanges(0, r.chunkCount(0))}})
		}, 10 * time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := link{100 * mbit, 5 * time.Millisecond}
				hosts := simHosts(t, l, l, l)
				a := newNode(t, hosts[0], r.seed(newMemStore(), nil), func(c *Config) { c.MemoryBytes = 4 << 20 })
				connect(t, hosts[1], a.host)
				c := dialRaw(t, hosts[1], a.host.ID())
				mustSend(t, c) // opens the stream
				_, _ = c.stream.Write(nil)
				tt.talk(t, c)
				time.Sleep(time.Second)
				b := newNode(t, hosts[2], r.seedBlocks(newMemStore()))
				meet(t, a, b)
				if err := b.Fetch(within(t, tt.most), Job{Release: r.manifest.CID, Files: r.files}); err != nil {
					t.Errorf("the other client: %v", err)
				}
				time.Sleep(tt.most)
				if n := a.Stats().Serving; n != 0 {
					t.Errorf("%d sessions are still served", n)
				}
				if fault, err := untilEnd(c); tt.told && (fault == nil || fault.Code != faultGone) {
					t.Errorf("told %+v (%v), want gone", fault, err)
				}
				a.stop()
				b.stop()
			})
		})
	}
}

// TestSessionLimits: beyond its share a peer hears busy; when all places are
// taken, one that idles gives way.
func TestSessionLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 42, 1<<20)
		l := link{100 * mbit, 5 * time.Millisecond}
		hosts := simHosts(t, l, l, l)
		a := newNode(t, hosts[0], r.seed(newMemStore(), nil), func(c *Config) { c.MaxSessions, c.MaxSessionsPerPeer = 3, 2 })
		connect(t, hosts[1], a.host)
		for range 2 {
			mustSend(t, dialRaw(t, hosts[1], a.host.ID()), greeting())
		}
		time.Sleep(time.Second)
		third := dialRaw(t, hosts[1], a.host.ID())
		mustSend(t, third, greeting())
		if fault, _ := untilEnd(third); fault == nil || fault.Code != faultBusy {
			t.Errorf("fault %+v, want busy", fault)
		}
		connect(t, hosts[2], a.host)
		mustSend(t, dialRaw(t, hosts[2], a.host.ID()), greeting())
		time.Sleep(time.Second)
		if n := a.Stats().Serving; n != 3 {
			t.Fatalf("%d sessions, want 3", n)
		}
		time.Sleep(evictAfter + time.Second)
		b := newNode(t, hosts[2], r.seedBlocks(newMemStore()))
		if err := b.Fetch(within(t, time.Minute), Job{Release: r.manifest.CID, Files: r.files}); err != nil {
			t.Errorf("no idle session gave way: %v", err)
		}
		a.stop()
		b.stop()
	})
}

// rottenStore has lost a chunk to a bad sector.
type rottenStore struct {
	*memStore
	rotten int
}

func (s *rottenStore) Chunk(ctx context.Context, id manifest.FileID, i int, buf []byte) ([]byte, error) {
	if i == s.rotten {
		return nil, manifest.ErrContent
	}
	return s.memStore.Chunk(ctx, id, i, buf)
}

// TestRottenChunkComesFromElsewhere: a server that finds its copy rotten says
// so, is not blamed, and the chunk comes from another peer.
func TestRottenChunkComesFromElsewhere(t *testing.T) {
	r := makeRelease(t, 43, 1<<20)
	a := newNode(t, newHost(t), nil, func(c *Config) { c.Store = &rottenStore{r.seed(newMemStore(), nil), 3} })
	b := newNode(t, newHost(t), r.seedBlocks(newMemStore()))
	meet(t, a, b)
	done := make(chan error, 1)
	go func() { done <- b.Fetch(within(t, time.Minute), Job{Release: r.manifest.CID, Files: r.files}) }()
	c := newNode(t, newHost(t), r.seed(newMemStore(), func(i int) bool { return i == 3 }))
	meet(t, b, c)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.check(t, b.store)
	if err := b.badPeer(a.host.ID()); err != nil {
		t.Errorf("the honest peer was blamed: %v", err)
	}
}
