package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// dialledHost is the part of a host that finder uses. It notes when each peer
// was dialled. One whose ID begins with "mute" never answers.
type dialledHost struct {
	host.Host
	self peer.ID

	mu     sync.Mutex // owns the rest
	dials  map[peer.ID][]time.Time
	answer func(peer.ID) error
	linked map[peer.ID]contact
}

func (h *dialledHost) ID() peer.ID { return h.self }

func (h *dialledHost) Connect(ctx context.Context, p peer.AddrInfo) error {
	h.mu.Lock()
	h.dials[p.ID] = append(h.dials[p.ID], time.Now())
	answer := h.answer
	h.mu.Unlock()
	if strings.HasPrefix(string(p.ID), "mute") {
		<-ctx.Done()
		return ctx.Err()
	}
	return answer(p.ID)
}

// link connects a peer of this site, or takes it away.
func (h *dialledHost) link(p peer.ID, up bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(h.linked, p); up {
		h.linked[p] = contact{id: p, local: true, since: time.Now()}
	}
}

func (h *dialledHost) contacts() []contact {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.linked))
}

func (h *dialledHost) count(p peer.ID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.dials[p])
}

// watch is a site that makes a node keep contact with the outside, or not.
type watch struct {
	mu      sync.Mutex // owns the rest
	gateway bool
	changed chan struct{}
}

func newWatch(gateway bool) *watch { return &watch{gateway: gateway, changed: make(chan struct{})} }

func (*watch) Local(c network.Conn) bool { return false }

func (p *watch) Gateway() (bool, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gateway, p.changed
}

func (p *watch) set(gateway bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gateway = gateway
	close(p.changed)
	p.changed = make(chan struct{})
}

// seek runs redial and greet in virtual time, with one bootstrap node nearby,
// while test looks on.
func seek(t *testing.T, test func(h *dialledHost, p peer.ID, found chan<- peer.AddrInfo, lost chan<- struct{})) {
	p := newID(t)
	search(t, LAN, []peer.AddrInfo{{ID: p, Addrs: addrs("/ip4/127.0.0.1/tcp/1")}}, func(f *finder, h *dialledHost, found chan<- peer.AddrInfo) {
		test(h, p, found, f.near.wake)
	})
}

func search(t *testing.T, preset Preset, bootstrap []peer.AddrInfo, test func(*finder, *dialledHost, chan<- peer.AddrInfo)) {
	book := openBook(t.TempDir(), discard)
	synctest.Test(t, func(t *testing.T) {
		h := &dialledHost{self: "self", dials: make(map[peer.ID][]time.Time), linked: make(map[peer.ID]contact)}
		h.answer = func(peer.ID) error { return errors.New("nobody there") }
		f := (&finder{host: h, book: book, log: discard, preset: preset, site: newWatch(true), bootstrap: append(bootstrap, peer.AddrInfo{ID: h.self})}).complete()
		f.connected = h.contacts
		found := make(chan peer.AddrInfo)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for name, run := range map[string]func() error{
			"redial nearby":  func() error { return f.redial(ctx, f.near) },
			"redial outside": func() error { return f.redial(ctx, f.outside) },
			"greet":          func() error { return f.greet(ctx, found) },
		} {
			group.Go(func() {
				if err := run(); !errors.Is(err, context.Canceled) {
					t.Errorf("%s ended with %v", name, err)
				}
			})
		}
		synctest.Wait()
		test(f, h, found)
		if h.count(h.self) != 0 {
			t.Error("the node dials itself")
		}
		cancel()
		group.Wait()
	})
}

// A node that is off costs a few packets: at once, after about 2 s, and so on
// to every 5 to 6 minutes.
func TestRedialBacksOff(t *testing.T) {
	seek(t, func(h *dialledHost, p peer.ID, _ chan<- peer.AddrInfo, _ chan<- struct{}) {
		time.Sleep(24 * time.Hour)
		h.mu.Lock()
		dials := h.dials[p]
		h.mu.Unlock()
		if n := len(dials); n < 240 || n > 300 {
			t.Errorf("%d dials in a day", n)
		}
		for i, wait := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
			wait *= time.Second
			if got := dials[i+1].Sub(dials[i]); got < wait || got > wait*5/4+time.Second {
				t.Errorf("wait %d is %s, want %s to %s", i, got, wait, wait*5/4)
			}
		}
	})
}

// A peer that takes every connection and drops it is not dialled in a loop, one
// that was there for long is dialled at once when it is lost.
func TestRedialAfterLoss(t *testing.T) {
	seek(t, func(h *dialledHost, p peer.ID, _ chan<- peer.AddrInfo, lost chan<- struct{}) {
		h.mu.Lock()
		h.answer = func(peer.ID) error { signal(lost); return nil }
		h.mu.Unlock()
		time.Sleep(time.Hour)
		if n := h.count(p); n > 30 {
			t.Errorf("%d dials in an hour", n)
		}
		h.link(p, true)
		time.Sleep(time.Hour)
		before := h.count(p)
		time.Sleep(time.Hour)
		if h.count(p) != before {
			t.Error("a connected peer is dialled")
		}
		h.link(p, false)
		signal(lost)
		synctest.Wait()
		if h.count(p) != before+1 {
			t.Errorf("%d dials right after a loss", h.count(p)-before)
		}
	})
}

// Whom mDNS finds is dialled at once, unless connected or this node itself.
func TestFoundIsDialled(t *testing.T) {
	seek(t, func(h *dialledHost, p peer.ID, found chan<- peer.AddrInfo, _ chan<- struct{}) {
		near, linked := peer.ID("near"), peer.ID("linked")
		h.link(linked, true)
		for _, id := range []peer.ID{near, linked, h.self} {
			found <- peer.AddrInfo{ID: id}
		}
		synctest.Wait()
		if h.count(near) != 1 || h.count(linked) != 0 {
			t.Errorf("dialled %v", h.dials)
		}
	})
}

// Peers that mDNS finds and that do not answer keep no other one waiting, are
// not dialled twice at once, and do not take more than a few dials.
func TestFoundAreDialledTogether(t *testing.T) {
	seek(t, func(h *dialledHost, _ peer.ID, found chan<- peer.AddrInfo, _ chan<- struct{}) {
		mute := func(i int) peer.ID { return peer.ID(fmt.Sprintf("mute%d", i)) }
		dialled := func() (n int) {
			for i := range 10 {
				n += h.count(mute(i))
			}
			return n
		}
		for range 3 { // mDNS finds them again and again
			for i := range parallelDials - 1 {
				found <- peer.AddrInfo{ID: mute(i)}
			}
		}
		found <- peer.AddrInfo{ID: "near"}
		synctest.Wait()
		if n := dialled(); n != parallelDials-1 || h.count("near") != 1 {
			t.Errorf("%d dials of mute peers, %d of the one beside them", n, h.count("near"))
		}
		go func() {
			for i := parallelDials - 1; i < 10; i++ {
				found <- peer.AddrInfo{ID: mute(i)}
			}
		}()
		for waves := 1; waves <= 10/parallelDials; waves++ {
			synctest.Wait()
			if n := dialled(); n != waves*parallelDials {
				t.Errorf("%d dials after %d waves", n, waves)
			}
			time.Sleep(LAN.pace().dial)
		}
		synctest.Wait()
		if n := dialled(); n != 10 {
			t.Errorf("%d of 10 were dialled", n)
		}
	})
}
