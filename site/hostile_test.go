package site

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// stranger is a host that shows the label and does as the test wants. Its stream
// with the one node of the world is opened by whoever may.
type stranger struct {
	w      *world
	stream network.Stream
	in     *bufio.Reader
}

// newStranger returns a world of an honest node, 0, and a stranger with a stream.
func newStranger(t *testing.T, label string, subnet int) *stranger {
	t.Helper()
	w := newWorld(t, spot{label: label, subnet: subnet}, spot{label: label, subnet: subnet, outside: true})
	s := &stranger{w: w}
	opened := make(chan network.Stream, 64) // the node tries again
	w.nodes[1].host.SetStreamHandler(ProtocolID, func(stream network.Stream) { opened <- stream })
	w.connect(0, 1)
	if h := w.nodes[1].host; h.ID() < w.nodes[0].host.ID() {
		stream, err := h.NewStream(t.Context(), w.nodes[0].host.ID(), ProtocolID)
		if err != nil {
			t.Fatal(err)
		}
		s.stream = stream
	} else {
		s.stream = <-opened
	}
	s.in = bufio.NewReader(s.stream)
	return s
}

func (s *stranger) write(data []byte) error {
	_, err := s.stream.Write(data)
	return err
}

func (s *stranger) say(m *message) {
	s.w.t.Helper()
	data, err := encode(m)
	if err != nil {
		s.w.t.Fatal(err)
	}
	if err := s.write(data); err != nil {
		s.w.t.Fatal(err)
	}
}

// members returns how many other members the honest node knows.
func (s *stranger) members() int {
	s.w.nodes[0].mu.Lock()
	defer s.w.nodes[0].mu.Unlock()
	return len(s.w.nodes[0].members)
}

// A member that breaks the protocol is none any more.
func TestRubbishEndsTheStream(t *testing.T) {
	good, err := encode(&message{State: &state{}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"rubbish":            bytes.Repeat([]byte{0x17}, 100),
		"too long":           {0xff, 0xff, 0x01},
		"answer to no ping":  mustEncode(t, &message{Pong: []byte("12345678")}),
		"cut in the middle":  good[:len(good)-1],
		"member of nothing":  {0},
		"half, and patience": good[:2],
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStranger(t, labelled, 0)
				s.say(&message{State: &state{Outside: true}})
				pass(time.Second)
				if got := s.members(); got != 1 {
					t.Fatalf("%d members, want 1", got)
				}
				if err := s.write(data); err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(name, "cut") {
					_ = s.stream.CloseWrite()
				}
				pass(streamTimeout + time.Second)
				if got := s.members(); got != 0 {
					t.Errorf("%d members, want none", got)
				}
			})
		})
	}
}

func mustEncode(t *testing.T, m *message) []byte {
	t.Helper()
	data, err := encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A flood of states is read no faster than an honest member talks.
func TestFloodIsHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStranger(t, labelled, 0)
		data := mustEncode(t, &message{State: fullState()})
		sent := 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stop := context.AfterFunc(ctx, func() { _ = s.stream.SetWriteDeadline(time.Now()) })
		defer stop()
		for ctx.Err() == nil {
			if err := s.write(data); err != nil {
				break
			}
			sent++
		}
		// What flow control lets through lies in buffers: 512 KiB at most at first.
		most := sayBurst + int(time.Minute/sayInterval) + (1<<20)/len(data)
		if sent == 0 || sent > most {
			t.Errorf("%d states of %d bytes in a minute, want at most %d", sent, len(data), most)
		}
	})
}

// Who does not answer pings, or answers others, is no member.
func TestPingsMustBeAnswered(t *testing.T) {
	for name, answer := range map[string]func(s *stranger){
		"silence":     func(*stranger) {},
		"zeros early": func(s *stranger) { s.say(&message{Pong: make([]byte, nonceBytes)}) },
		"one early":   func(s *stranger) { s.say(&message{Pong: []byte("12345678")}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStranger(t, "", 1)
				s.say(&message{State: &state{Outside: true}})
				answer(s)
				pass(streamTimeout + time.Second)
				if got := s.members(); got != 0 {
					t.Errorf("%d members, want none", got)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := newStranger(t, "", 1)
		s.say(&message{State: &state{Outside: true}})
		for {
			m, err := decode(s.in)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Ping) > 0 {
				s.say(&message{Pong: m.Ping})
				break
			}
		}
		pass(time.Second)
		if got := s.members(); got != 1 {
			t.Errorf("%d members after an answer, want 1", got)
		}
		s.say(&message{Far: true})
		pass(time.Second)
		if got := s.members(); got != 0 || s.w.nodes[0].Local(s.w.nodes[0].host.Network().Conns()[0]) {
			t.Errorf("%d members, want none: it says that we are far", got)
		}
	})
}

// Streams from those that may not open them are refused: from a larger ID, from
// outside, and again and again.
func TestStreamsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, spot{label: "a"}, spot{label: "b"}, spot{label: "a", outside: true}, spot{label: "a", outside: true}, spot{label: "a", outside: true})
		for i := 1; i < 5; i++ {
			w.connect(0, i)
		}
		pass(time.Second)
		refused := func(i int) bool {
			s, err := w.nodes[i].host.NewStream(t.Context(), w.nodes[0].host.ID(), ProtocolID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Write(mustEncode(t, &message{State: &state{}})); err != nil {
				return true
			}
			_ = s.SetReadDeadline(time.Now().Add(time.Second))
			_, err = s.Read(make([]byte, 1))
			return err != nil
		}
		if !refused(1) {
			t.Error("a stream from outside is taken")
		}
		for i := 2; i < 5; i++ {
			if larger := w.nodes[i].host.ID() > w.nodes[0].host.ID(); refused(i) != larger {
				t.Errorf("stream from a larger ID (%t) is refused: %t", larger, !larger)
			} else if !larger && !refused(i) {
				t.Error("a second stream right after the first is taken")
			}
		}
	})
}

// Run ends with its context, and nothing of it remains.
func TestLifecycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, onLAN, onLAN, onLAN)
		w.meet(0, 1, 2)
		w.join(releaseA, 0, 1, 2)
		pass(time.Second)
		n := w.nodes[0]
		n.stop()
		if len(n.links) != 0 || len(n.members) != 0 {
			t.Errorf("%d streams and %d members remain", len(n.links), len(n.members))
		}
		if turn, _ := n.Join(releaseB).Turn(); !turn.Outside {
			t.Error("a node that has left its site has no turn")
		}
		if err := n.Run(t.Context()); !errors.Is(err, ErrConfig) {
			t.Errorf("run a second time: %v", err)
		}
		pass(time.Second)
		for i, other := range w.nodes[1:] {
			if got := len(other.Members()); got != 2 {
				t.Errorf("node %d has %d members after one has left, want 2", i+1, got)
			}
		}
	})
}

func TestConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, spot{outside: true})
		h := w.nodes[0].host
		for name, c := range map[string]Config{
			"no host":       {},
			"bad label":     {Host: h, Label: "(x)"},
			"no gateways":   {Host: h, Gateways: -1},
			"many gateways": {Host: h, Gateways: MaxGateways + 1},
			"short lease":   {Host: h, Lease: time.Millisecond},
			"long lease":    {Host: h, Lease: 2 * time.Hour},
		} {
			if _, err := New(c); !errors.Is(err, ErrConfig) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s, err := New(Config{Host: h}); err != nil || s.cfg.Gateways != DefaultGateways || s.cfg.Lease != DefaultLease {
			t.Errorf("defaults: %+v, %v", s, err)
		}
	})
}
