package gossip

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/trust"
)

// leftovers returns the stacks of goroutines that belong to this package or to
// pubsub, but not to the test.
func leftovers() (stacks []string) {
	buf := make([]byte, 8<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		ours := strings.Contains(stack, "go-libp2p-pubsub") || strings.Contains(stack, "dunlin/gossip.")
		if ours && !strings.Contains(stack, "testing.tRunner") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}

// Nothing remains once Run has returned: no handler, no stream, no goroutine,
// neither of ours nor of pubsub, although hosts and connections live on.
func TestNothingRemains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := newAuthor("acme")
		f := newFlock(t, LAN, rootsOf(acme), rootsOf(acme), rootsOf(acme))
		first := f.nodes[0]
		f.line()
		acme.release("vad", 700)
		f.publish(0, acme)
		time.Sleep(time.Hour)
		for _, n := range f.nodes {
			n.stop()
		}
		synctest.Wait()
		if stacks := leftovers(); len(stacks) > 0 {
			t.Errorf("%d goroutines remain:\n%s", len(stacks), strings.Join(stacks, "\n\n"))
		}
		protocols := first.host.Mux().Protocols()
		if slices.Contains(protocols, SyncProtocol) || slices.Contains(protocols, meshProtocol) {
			t.Errorf("handlers remain: %v", protocols)
		}
		for _, conn := range first.host.Network().Conns() {
			for _, s := range conn.GetStreams() {
				if s.Protocol() == SyncProtocol || s.Protocol() == meshProtocol {
					t.Errorf("a stream of %s remains", s.Protocol())
				}
			}
		}
		if len(first.host.Network().Conns()) == 0 {
			t.Error("the connections are gone")
		}
	})
}

// Stopping in the middle of a session with a silent peer takes no time.
func TestStopDuringSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t, LAN, rootsOf(), rootsOf())
		f.connect(0, 1)
		f.settle()
		if _, err := f.nodes[1].host.Host.NewStream(t.Context(), f.nodes[0].host.ID(), SyncProtocol); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		f.nodes[0].stop()
		if took := time.Since(start); took > 0 {
			t.Errorf("stopping took %s", took)
		}
	})
}

// A node that starts when its peers are connected already meets them all.
func TestStartsAmongPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := newAuthor("acme")
		acme.release("vad", 700)
		f := newFlock(t, LAN, stateOf(acme), rootsOf(acme))
		f.nodes[1].stop()
		f.connect(0, 1)
		time.Sleep(time.Minute)
		late := newNode(t, f.nodes[1].host.Host, LAN, f.nodes[1].state)
		late.total = f.nodes[1].total
		f.nodes[1] = late
		late.start()
		time.Sleep(10 * time.Second)
		f.wantVersion(acme, 1, 1)
		acme.release("vad", 700)
		f.publish(0, acme)
		time.Sleep(10 * time.Second)
		f.wantVersion(acme, 2, 1)
	})
}

func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := newAuthor("acme")
		acme.release("vad", 700)
		old := acme.head()
		acme.release("vad", 700)
		f := newFlock(t, LAN, stateOf(acme))
		n := f.nodes[0]
		if err := n.gossip.Announce(t.Context(), old); !errors.Is(err, ErrNotHeld) {
			t.Errorf("announcing an old head: %v", err)
		}
		forged := acme.head()
		forged.Timestamp = append([]byte{1}, forged.Timestamp[1:]...)
		if err := n.gossip.Announce(t.Context(), forged); !errors.Is(err, trust.ErrForged) {
			t.Errorf("announcing a forged head: %v", err)
		}
		if err := n.gossip.Announce(t.Context(), acme.head()); err != nil {
			t.Errorf("announcing to nobody: %v", err)
		}
		if err := n.gossip.Announce(t.Context(), acme.head()); err != nil {
			t.Errorf("announcing again: %v", err)
		}
		if err := n.gossip.Sync(t.Context(), "stranger"); err == nil {
			t.Error("sync with nobody succeeded")
		}
		if err := n.gossip.Run(t.Context()); !errors.Is(err, ErrConfig) {
			t.Errorf("a second Run: %v", err)
		}
		n.stop()
		if err := n.gossip.Announce(t.Context(), acme.head()); !errors.Is(err, ErrNotRunning) {
			t.Errorf("announcing after Run: %v", err)
		}
		if err := n.gossip.Sync(t.Context(), "stranger"); !errors.Is(err, ErrNotRunning) {
			t.Errorf("sync after Run: %v", err)
		}
		idle := newNode(t, n.host.Host, LAN, n.state)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := idle.gossip.Sync(ctx, "stranger"); !errors.Is(err, ErrNotRunning) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sync before Run: %v", err)
		}
	})
}

func TestConfig(t *testing.T) {
	host := &countingHost{}
	good := Config{Host: host, Mesh: "office.1_a-b", State: stateOf()}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Config){
		"no host":        func(c *Config) { c.Host = nil },
		"no state":       func(c *Config) { c.State = nil },
		"no mesh":        func(c *Config) { c.Mesh = "" },
		"long mesh":      func(c *Config) { c.Mesh = strings.Repeat("a", MaxMeshBytes+1) },
		"slash in mesh":  func(c *Config) { c.Mesh = "a/b" },
		"capital letter": func(c *Config) { c.Mesh = "aBc" },
		"unknown preset": func(c *Config) { c.Preset = "warp" },
	} {
		config := good
		edit(&config)
		if _, err := New(config); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
