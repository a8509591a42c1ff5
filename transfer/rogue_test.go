package transfer

import (
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// rogue is a server that does as it likes. It greets; act gets each message
// that follows and returns false to end the session.
func rogue(h host.Host, act func(c *conn, m *message) bool) {
	h.SetStreamHandler(ProtocolID, func(s network.Stream) {
		defer func() { _ = s.Reset() }()
		c := newConn(s, 64<<10, time.Hour, time.Hour)
		if _, err := c.receive(0); err != nil || c.send(&message{Hello: &hello{Version: Version, Link: LAN, MaxFrame: codec.MaxFrameBytes}}) != nil {
			return
		}
		for c.flush() == nil {
			m, err := c.receive(0)
			if err != nil || !act(c, m) {
				_ = c.flush()
				return
			}
		}
	})
}

// claim says that all chunks are held.
func claim(c *conn, r *release) bool {
	return c.send(&message{Have: &ranges{Chunks: manifest.NewRanges(0, r.chunkCount(0))}}) == nil
}

// frameOf answers for chunk i with the bytes given.
func frameOf(c *conn, i uint32, data []byte) bool {
	f := codec.Frame{Encoding: codec.Raw, RawBytes: len(data), Payload: data}
	head := f.AppendHeader(nil)
	if c.send(&message{Frame: &piece{Chunk: i, Bytes: uint32(len(head) + len(data))}}) != nil {
		return false
	}
	_, _ = c.out.Write(head)
	_, err := c.out.Write(data)
	return err == nil
}

// TestRogueServers: whatever a server does, it is dropped for the right reason
// and the release comes from elsewhere.
func TestRogueServers(t *testing.T) {
	r := makeRelease(t, 30, 2<<20)
	// onRequest answers a request's first chunk after having claimed all.
	onRequest := func(f func(c *conn, i uint32) bool) func(*conn, *message) bool {
		return func(c *conn, m *message) bool {
			switch {
			case m.Open != nil:
				return claim(c, r)
			case m.Request != nil:
				return f(c, m.Request.Chunks[0].From)
			}
			return true
		}
	}
	for _, tt := range []struct {
		name string
		act  func(*conn, *message) bool
		want error // nil: no fault of the peer's
	}{
		{"wrong bytes", onRequest(func(c *conn, i uint32) bool {
			data := append([]byte(nil), r.chunk(0, int(i))...)
			data[len(data)/2] ^= 1
			return frameOf(c, i, data)
		}), ErrCorrupt},
		{"short chunk", onRequest(func(c *conn, i uint32) bool { return frameOf(c, i, r.chunk(0, int(i))[1:]) }), ErrCorrupt},
		{"too many bytes", onRequest(func(c *conn, i uint32) bool { return frameOf(c, i, make([]byte, 300<<10)) }), ErrProtocol},
		{"another chunk", onRequest(func(c *conn, i uint32) bool { j := (i + 1) % 2; return frameOf(c, j, r.chunk(0, int(j))) }), ErrProtocol},
		{"endless frames", onRequest(func(c *conn, i uint32) bool {
			for frameOf(c, i, r.chunk(0, int(i))) && c.flush() == nil {
			}
			return false
		}), ErrProtocol},
		{"unasked frame", func(c *conn, m *message) bool { return frameOf(c, 0, r.chunk(0, 0)) }, ErrProtocol},
		{"bad frame", onRequest(func(c *conn, i uint32) bool {
			_ = c.send(&message{Frame: &piece{Chunk: i, Bytes: 4}})
			_, _ = c.out.Write([]byte{9, 9, 9, 9})
			return true
		}), ErrProtocol},
		{"huge length", func(c *conn, m *message) bool { _, _ = c.out.Write([]byte("\xff\xff\xff\xff\x0f")); return true }, ErrProtocol},
		{"garbage", func(c *conn, m *message) bool { _, _ = c.out.Write([]byte("\x05hello")); return true }, ErrProtocol},
		{"have of too many chunks", func(c *conn, m *message) bool {
			return c.send(&message{Have: &ranges{Chunks: manifest.NewRanges(0, r.chunkCount(0)+1)}}) == nil
		}, ErrProtocol},
		{"have of another file", func(c *conn, m *message) bool {
			return c.send(&message{Have: &ranges{File: 1, Chunks: manifest.NewRanges(0, 1)}}) == nil
		}, ErrProtocol},
		{"request to a client", func(c *conn, m *message) bool {
			return c.send(&message{Request: &ranges{Chunks: manifest.NewRanges(0, 1)}}) == nil
		}, ErrProtocol},
		{"refusal of what was not asked", onRequest(func(c *conn, i uint32) bool {
			return c.send(&message{Fault: &faultAt{Code: faultNotHeld, Chunks: manifest.NewRanges(int(i)+1, int(i)+2)}}) == nil
		}), ErrProtocol},
		{"huge refusal", onRequest(func(c *conn, i uint32) bool {
			return c.send(&message{Fault: &faultAt{Code: faultNotHeld, Chunks: manifest.NewRanges(0, 1<<20)}}) == nil
		}), ErrProtocol},
		{"nothing", onRequest(func(*conn, uint32) bool { return true }), ErrStalled},
		{"drip", onRequest(func(c *conn, i uint32) bool {
			_ = c.send(&message{Frame: &piece{Chunk: i, Bytes: 100 << 10}})
			for c.flush() == nil {
				_, _ = c.out.Write([]byte{0})
				time.Sleep(time.Second)
			}
			return false
		}), ErrStalled},
		{"lies about have", onRequest(func(c *conn, i uint32) bool {
			return c.send(&message{Fault: &faultAt{Code: faultNotHeld, Chunks: manifest.NewRanges(int(i), int(i)+1)}}) == nil
		}), nil},
		{"gone at once", func(*conn, *message) bool { return false }, nil},
		{"busy", func(c *conn, m *message) bool {
			_ = c.send(&message{Fault: &faultAt{Code: faultBusy, Retry: 1 << 30}})
			return false
		}, nil},
		{"unknown fault", func(c *conn, m *message) bool {
			_ = c.send(&message{Fault: &faultAt{Code: "on fire"}})
			return false
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := link{100 * mbit, 5 * time.Millisecond}
				hosts := simHosts(t, l, l, l)
				b := newNode(t, hosts[0], r.seedBlocks(newMemStore()))
				rogue(hosts[1], tt.act)
				connect(t, hosts[1], b.host)
				done := make(chan error, 1)
				go func() { done <- b.Fetch(within(t, time.Hour), Job{Release: r.manifest.CID, Files: r.files}) }()
				time.Sleep(3 * time.Minute) // the rogue alone
				if err := b.badPeer(hosts[1].ID()); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
					t.Errorf("dropped for %v, want %v", err, tt.want)
				}
				a := newNode(t, hosts[2], r.seed(newMemStore(), nil))
				meet(t, a, b)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				r.check(t, b.store)
				a.stop()
				b.stop()
			})
		})
	}
}

// TestRogueAmongOthers: with a good peer beside it, a rogue costs little time.
func TestRogueAmongOthers(t *testing.T) {
	r := makeRelease(t, 31, 4<<20)
	for name, act := range map[string]func(c *conn, m *message) bool{
		"nothing": func(c *conn, m *message) bool { return m.Open == nil || claim(c, r) },
		"wrong bytes": func(c *conn, m *message) bool {
			if m.Request != nil {
				i := m.Request.Chunks[0].From
				return frameOf(c, i, make([]byte, len(r.chunk(0, int(i)))))
			}
			return m.Open == nil || claim(c, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := link{100 * mbit, 5 * time.Millisecond}
				hosts := simHosts(t, l, l, l)
				b := newNode(t, hosts[0], r.seedBlocks(newMemStore()))
				a := newNode(t, hosts[2], r.seed(newMemStore(), nil))
				rogue(hosts[1], act)
				connect(t, hosts[1], b.host)
				meet(t, a, b)
				start := time.Now()
				if err := b.Fetch(within(t, time.Hour), Job{Release: r.manifest.CID, Files: r.files}); err != nil {
					t.Fatal(err)
				}
				r.check(t, b.store)
				if took := time.Since(start); took > WAN.pace().stall+3*time.Second {
					t.Errorf("took %s: the chunks of the rogue were not taken over", took)
				}
				a.stop()
				b.stop()
			})
		})
	}
}

// TestParoleGrows: a peer that sends bad bytes again and again is asked after
// one minute, then two, then four.
func TestParoleGrows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 32, 1<<20)
		l := link{100 * mbit, 5 * time.Millisecond}
		hosts := simHosts(t, l, l)
		b := newNode(t, hosts[0], r.seedBlocks(newMemStore()))
		var asked []time.Time
		rogue(hosts[1], func(c *conn, m *message) bool {
			if m.Open != nil {
				asked = append(asked, time.Now())
				_, _ = c.out.Write([]byte("\x05hello"))
			}
			return true
		})
		connect(t, hosts[1], b.host)
		ctx := within(t, 16*time.Minute)
		if err := b.Fetch(ctx, Job{Release: r.manifest.CID, Files: r.files}); !errors.Is(err, ctx.Err()) {
			t.Fatal(err)
		}
		if len(asked) != 5 { // at 0, 1, 3, 7, 15 minutes
			t.Fatalf("asked %d times: %v", len(asked), asked)
		}
		for i, want := 1, time.Minute; i < len(asked); i, want = i+1, 2*want {
			if got := asked[i].Sub(asked[i-1]); got < want || got > want+10*time.Second {
				t.Errorf("parole %d lasted %s, want %s", i, got, want)
			}
		}
		p := b.Stats().Peers[0]
		if p.State != PeerParole || b.Stats().BadPeers != 5 {
			t.Errorf("stats %+v, %d times bad", p, b.Stats().BadPeers)
		}
		b.stop()
	})
}

// TestRogueBlocks: wrong, oversized and missing blocks, and silence.
func TestRogueBlocks(t *testing.T) {
	r := makeRelease(t, 33, 1<<20)
	send := func(c *conn, data []byte) bool {
		f := codec.Frame{Encoding: codec.Raw, RawBytes: len(data), Payload: data}
		head := f.AppendHeader(nil)
		_ = c.send(&message{Block: &block{Bytes: uint32(len(head) + len(data))}})
		_, _ = c.out.Write(head)
		_, err := c.out.Write(data)
		return err == nil
	}
	for _, tt := range []struct {
		name string
		act  func(*conn, *message) bool
		want error
	}{
		{"wrong bytes", func(c *conn, m *message) bool { return send(c, []byte("something else")) }, ErrCorrupt},
		{"too many bytes", func(c *conn, m *message) bool { return send(c, make([]byte, manifest.MaxBlockBytes+1)) }, ErrProtocol},
		{"not held", func(c *conn, m *message) bool { return c.send(&message{Block: &block{}}) == nil }, nil},
		{"a frame", func(c *conn, m *message) bool { return frameOf(c, 0, []byte("x")) }, ErrProtocol},
		{"silence", func(c *conn, m *message) bool { return true }, ErrStalled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l := link{100 * mbit, 5 * time.Millisecond}
				hosts := simHosts(t, l, l, l)
				b := newNode(t, hosts[0], newMemStore())
				rogue(hosts[1], tt.act)
				connect(t, hosts[1], b.host)
				done := make(chan error, 1)
				go func() { done <- b.Blocks(within(t, time.Hour), nil, []manifest.CID{r.manifest.CID}) }()
				time.Sleep(3 * time.Minute)
				if err := b.badPeer(hosts[1].ID()); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
					t.Errorf("dropped for %v, want %v", err, tt.want)
				}
				a := newNode(t, hosts[2], r.seedBlocks(newMemStore()))
				meet(t, a, b)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				a.stop()
				b.stop()
			})
		})
	}
}
