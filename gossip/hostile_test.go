package gossip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/trust"
)

// frames encodes a turn and what follows it.
func frames(t *testing.T, in turn, follow ...[]byte) []byte {
	t.Helper()
	block, err := manifest.Encode(&in)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCompressor()
	if err != nil {
		t.Fatal(err)
	}
	data := c.appendFrame(nil, block.Data)
	for _, f := range follow {
		data = c.appendFrame(data, f)
	}
	return data
}

func encodeUpdate(t *testing.T, u trust.Update) []byte {
	t.Helper()
	data, err := u.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// bomb is a frame that claims size bytes and inflates to far more.
func bomb(t *testing.T, size uint64) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	packed := encoder.EncodeAll(make([]byte, 64<<20), nil)
	data := binary.AppendUvarint(nil, size<<1|1)
	data = binary.AppendUvarint(data, uint64(len(packed)))
	return append(data, packed...)
}

// Whatever a peer writes into a session that it begins, the state stays as it
// was, the session ends soon, and who broke the rules is on parole.
func TestHostileInitiator(t *testing.T) {
	acme := newAuthor("acme")
	acme.release("vad", 700)
	forged, _, _ := acme.update(trust.Have{})
	forged.Timestamp = bytes.Clone(forged.Timestamp)
	forged.Timestamp[60] ^= 1
	torn, _, _ := acme.update(trust.Have{})
	torn.Snapshot = []byte("{}")
	prefix := section{Prefix: []byte{1}, Entries: []entry{}, Parts: [][]byte{}}
	tests := []struct {
		name   string
		write  []byte
		blamed bool
	}{
		{"nothing at all", nil, false},
		{"garbage", []byte("\x20garbage garbage garbage"), true},
		{"half a frame", []byte{0x20, 0xa0}, false},
		{"a frame that claims to be huge", binary.AppendUvarint(nil, 1<<40), true},
		{"a length without end", bytes.Repeat([]byte{0xff}, 20), false},
		{"a zstd bomb", bomb(t, maxTurnBytes), true},
		{"stored longer than the content", []byte{0x03, 0x05}, true},
		{"sections before a salt", frames(t, turn{Digest: make([]byte, digestBytes), Sections: []section{prefix}}), true},
		{"sections before a digest", frames(t, turn{Salt: make([]byte, saltBytes), Sections: []section{prefix}}), true},
		{"answers that nobody asked for", frames(t, turn{Seen: 1}), true},
		{"a forged update", frames(t, turn{Updates: 1}, encodeUpdate(t, forged)), true},
		{"an update that does not fit together", frames(t, turn{Updates: 1}, encodeUpdate(t, torn)), true},
		{"a malformed update", frames(t, turn{Updates: 1}, []byte("garbage")), true},
		{"fewer updates than announced", frames(t, turn{Updates: 2}), false},
		{"a huge update that never comes", append(frames(t, turn{Updates: 1}), binary.AppendUvarint(nil, trust.MaxUpdateBytes<<1)...), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				state := rootsOf(acme)
				f := newFlock(t, LAN, state, rootsOf())
				f.connect(0, 1)
				f.settle()
				good, bad := f.nodes[0], f.nodes[1]
				stream, err := bad.host.NewStream(t.Context(), good.host.ID(), SyncProtocol)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Write(test.write); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				_, err = io.Copy(io.Discard, stream)
				if took := time.Since(start); took > good.gossip.params.turnTimeout+time.Second {
					t.Errorf("the session lasted %s (%v)", took, err)
				}
				_ = stream.Reset()
				synctest.Wait()
				until := good.gossip.parole.until(bad.host.ID())
				if blamed := until.After(time.Now()); blamed != test.blamed {
					t.Errorf("blamed: %t, want %t", blamed, test.blamed)
				}
				if state.applied != 0 {
					t.Error("the state changed")
				}
				err = good.gossip.Sync(t.Context(), bad.host.ID())
				if test.blamed != errors.Is(err, ErrParole) {
					t.Errorf("sync with the peer: %v", err)
				}
			})
		})
	}
}

// A peer that begins well and then breaks the rules as the answering side.
func TestHostileResponder(t *testing.T) {
	acme := newAuthor("acme")
	acme.release("vad", 700)
	forged, _, _ := acme.update(trust.Have{})
	forged.Timestamp = bytes.Clone(forged.Timestamp)
	forged.Timestamp[60] ^= 1
	salt, digest := make([]byte, saltBytes), make([]byte, digestBytes)
	again := turn{Digest: digest, Salt: salt, Sections: []section{{
		Prefix:  []byte{},
		Entries: []entry{{Publisher: acme.fingerprint(), Have: versions{Root: 1, Timestamp: 9, Snapshot: 9}, Digest: make([]byte, partBytes)}},
		Parts:   [][]byte{},
	}}}
	tests := []struct {
		name   string
		answer func(network.Stream)
		want   error
	}{
		{"silence", func(network.Stream) {}, context.DeadlineExceeded},
		{"end", func(s network.Stream) { _ = s.CloseWrite() }, io.ErrUnexpectedEOF},
		{"garbage", func(s network.Stream) { _, _ = s.Write([]byte("\x20garbage garbage garbage")) }, ErrProtocol},
		{"a forged update", func(s network.Stream) { _, _ = s.Write(frames(t, turn{Updates: 1}, encodeUpdate(t, forged))) }, ErrProtocol},
		{"differences without end", func(s network.Stream) {
			for range 2 * maxTurns {
				_, _ = s.Write(frames(t, again))
			}
		}, ErrProtocol},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				state := rootsOf(acme)
				f := newFlock(t, LAN, state, rootsOf())
				f.connect(0, 1)
				f.settle()
				bad := f.nodes[1]
				bad.stop()
				bad.host.Host.SetStreamHandler(SyncProtocol, func(s network.Stream) {
					defer func() { _ = s.Reset() }()
					test.answer(s)
					_, _ = io.Copy(io.Discard, s)
				})
				err := f.nodes[0].gossip.Sync(t.Context(), bad.host.ID())
				if errors.Is(test.want, context.DeadlineExceeded) {
					if err == nil || f.nodes[0].gossip.parole.until(bad.host.ID()).After(time.Now()) {
						t.Errorf("error %v, want one without parole", err)
					}
				} else if !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if state.applied != 0 {
					t.Error("the state changed")
				}
			})
		})
	}
}

// Saying the same difference over and over adds nothing to what a session
// keeps.
func TestRepeatedDifferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := authors(20)
		f := newFlock(t, LAN, stateOf(all...), rootsOf())
		f.connect(0, 1)
		f.settle()
		stream, err := f.nodes[1].host.NewStream(t.Context(), f.nodes[0].host.ID(), SyncProtocol)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = stream.Reset() }()
		s := f.nodes[0].gossip.newSession(stream)
		s.look()
		s.salt, s.theirs = make([]byte, saltBytes), s.digest
		newer, older := versions{Root: 1, Timestamp: 9, Snapshot: 9}, versions{Root: 1}
		in := turn{Sections: make([]section, maxSections)}
		for i := range in.Sections {
			for j, ours := range s.vector {
				in.Sections[i].Entries = append(in.Sections[i].Entries, entry{
					Publisher: ours.publisher, Have: []versions{newer, older}[j%2], Digest: make([]byte, partBytes),
				})
			}
		}
		for range 3 {
			if err := s.compare(&in, new(outgoing)); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(s.wishes) + len(s.offers); got != len(all) {
			t.Errorf("%d wishes and offers, want %d", got, len(all))
		}
	})
}

// A peer gets a bounded number of sessions, at once and in a row, and others
// are served meanwhile.
func TestManySessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := newAuthor("acme")
		acme.release("vad", 700)
		f := newFlock(t, LAN, stateOf(acme), stateOf(acme), stateOf(acme))
		f.connect(1, 0)
		f.connect(2, 0)
		f.settle()
		busy := f.nodes[1].gossip
		var refused int
		for range 3 * inboundBurst {
			if err := busy.Sync(t.Context(), f.nodes[0].host.ID()); errors.Is(err, ErrBusy) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if refused == 0 {
			t.Error("no session was refused")
		}
		if err := f.nodes[2].gossip.Sync(t.Context(), f.nodes[0].host.ID()); err != nil {
			t.Errorf("another peer: %v", err)
		}
		time.Sleep(time.Minute)
		if err := busy.Sync(t.Context(), f.nodes[0].host.ID()); err != nil {
			t.Errorf("after a minute: %v", err)
		}
	})
}

func TestParoleGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParole()
		if !p.until("x").IsZero() {
			t.Error("a stranger is on parole")
		}
		want := paroleFirst
		for range 10 {
			if got := time.Until(p.blame("x")); got != want {
				t.Errorf("parole of %s, want %s", got, want)
			}
			time.Sleep(want)
			want = min(want*paroleGrowth, paroleLongest)
		}
		time.Sleep(paroleLongest + time.Second)
		if got := time.Until(p.blame("x")); got != paroleFirst {
			t.Errorf("parole of %s after a day of peace, want %s", got, paroleFirst)
		}
	})
}

func TestParoleIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParole()
		for i := range paroleMaxPeers + 100 {
			time.Sleep(time.Millisecond)
			p.blame(peerID(i))
		}
		if len(p.peers) > paroleMaxPeers {
			t.Errorf("%d peers are remembered", len(p.peers))
		}
		if p.until(peerID(paroleMaxPeers + 99)).Before(time.Now()) {
			t.Error("the latest offender was forgotten")
		}
	})
}
