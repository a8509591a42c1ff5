package node

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/gossip"
	"github.com/dunlin-mesh/dunlin/links"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// eventually waits until done says yes.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
		time.Sleep(20 * time.Millisecond) // real nodes; nothing to wait on
	}
}

// Every byte but those of transfer is in the tally once, in as many packets as
// they need at least.
func TestTollCountsEachByteOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := newToll()
		var want [2]int64
		for range rapid.IntRange(0, 40).Draw(t, "streams") {
			id := rapid.SampledFrom([]protocol.ID{"", gossip.SyncProtocol, "/ipfs/id/1.0.0", transfer.ProtocolID, transfer.DeltaProtocolID}).Draw(t, "protocol")
			n, up := rapid.Int64Range(0, 5000).Draw(t, "bytes"), rapid.IntRange(0, 1).Draw(t, "up")
			if up == 1 {
				k.LogSentMessageStream(n, id, "p")
			} else {
				k.LogRecvMessageStream(n, id, "p")
			}
			if !strings.HasPrefix(string(id), "/dunlin/transfer/") && !strings.HasPrefix(string(id), "/dunlin/delta/") {
				want[up] += n
			}
		}
		for way, n := range want {
			var got links.Traffic
			if p := k.peers["p"]; p != nil {
				got = p.control[way].take()
			}
			if got.Bytes != n || got.Packets < links.Packets(n) || got.Packets > links.Packets(n)+40 {
				t.Fatalf("direction %d: %+v, want %d bytes", way, got, n)
			}
		}
	})
}

// Counting is on the path of every write: it allocates nothing.
func TestTollAllocatesNothing(t *testing.T) {
	k := newToll()
	k.note(1, gossip.SyncProtocol, "p", links.Up)
	if n := testing.AllocsPerRun(100, func() { k.note(100, gossip.SyncProtocol, "p", links.Up) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkToll(b *testing.B) {
	k := newToll()
	for b.Loop() {
		k.note(100, gossip.SyncProtocol, "p", links.Up)
	}
}

// sat returns how the link of that name stands.
func (b *bystander) sat(t *testing.T) api.Link {
	t.Helper()
	for _, l := range must[[]api.Link](t, b, "links", nil) {
		if l.Name == "sat" {
			return l
		}
	}
	t.Fatal("no link sat")
	return api.Link{}
}

// overSat is a home whose connections are on the link sat.
func overSat(site string, settings ...string) func(*Config) {
	return func(c *Config) {
		c.Site, c.Preset = site, WAN
		l, err := links.Edit(links.Config{Name: "sat"}, append([]string{"match=127.0.0.0/8", "class=wan"}, settings...))
		if err != nil {
			panic(err)
		}
		c.Links = []links.Config{l}
	}
}

// seen returns the bytes that libp2p moved for a peer, but those of transfer.
func (b *bystander) seen() (bytes int64) {
	for id, s := range b.node.net.Load().counter.GetBandwidthByProtocol() {
		if id != transfer.ProtocolID && id != transfer.DeltaProtocolID {
			bytes += s.TotalIn + s.TotalOut
		}
	}
	return bytes
}

// Gossip alone, with nothing to transfer, is on the account of the link: all that
// the reporter saw, and headers.
func TestGossipIsOnTheAccount(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	n := neighbour(t, p, root, nil, overSat("clinic", "month=10MB"))
	publish(t, p, vad, "1.0", "vad.bin", random(1, 1000)) // nobody follows it
	eventually(t, "the head comes", func() bool {
		for _, m := range must[api.Status](t, n, "status", nil).Models {
			if m.Model == vad && m.Latest != nil && m.Latest.Version == "1.0" {
				return true
			}
		}
		return false
	})
	// libp2p's own figures are brought up to date once a second.
	var seen int64
	steady := 0
	eventually(t, "nothing passes any more", func() bool {
		now := n.seen()
		if steady++; now != seen || now == 0 {
			seen, steady = now, 0
		}
		return steady > 100
	})
	got := n.sat(t)
	if got.Month.ControlBytes < seen+links.ConnBytes || got.Month.ControlBytes > 6*seen+4*links.ConnBytes {
		t.Errorf("%d bytes of control are on the account; the reporter saw %d on streams", got.Month.ControlBytes, seen)
	}
	if got.Month.SpentBytes != got.Month.ControlBytes || got.ControlUpBytes == 0 || got.ControlDownBytes == 0 ||
		got.ControlUpBytes+got.ControlDownBytes != got.Month.ControlBytes {
		t.Errorf("%+v", got)
	}
	if s := must[api.Status](t, n, "status", nil).Network; s.TransferIn != 0 || s.ControlIn == 0 || s.ControlIn != s.BytesIn {
		t.Errorf("status has %+v", s)
	}
	t.Logf("%d bytes on streams, %d charged", seen, got.Month.ControlBytes)
}

// A link whose budget is used up: nothing in the background is begun over it by
// either end, and it says so. Heads are heard. With more budget all is made up
// for at once.
func TestBackgroundWaitsForBudget(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	n := neighbour(t, p, root, nil, overSat("clinic", "month=1MB"))
	eventually(t, "they meet", func() bool { return n.seen() > 2000 })
	net := n.node.net.Load()
	link := n.node.paths.set.All()[0]
	link.Charge(links.Traffic{Bytes: 1_500_000}, links.Up)
	if got := n.sat(t); got.Open || !strings.HasPrefix(got.Reason, "waits for budget of ") || got.Month.SpentBytes <= got.Month.LimitBytes {
		t.Fatalf("%+v", got)
	}
	with := p.node.ID()
	for _, id := range []protocol.ID{gossip.SyncProtocol, "/dunlin/fleet/1", contactsProtocol} {
		if s, err := net.gate.NewStream(t.Context(), with, id); err == nil || !strings.Contains(err.Error(), "on link sat") {
			t.Errorf("%s to a closed link: %v, %v", id, s, err)
		}
		if err := calls(t, p, n.node.ID(), id); err == nil {
			t.Errorf("%s from a closed link is answered", id)
		}
	}
	before := n.sat(t).ControlDownBytes
	publish(t, p, vad, "1.0", "vad.bin", random(1, 1000))
	eventually(t, "its head is heard", func() bool { return n.sat(t).ControlDownBytes > before })
	if err := net.gossip.Sync(t.Context(), with); err == nil {
		t.Error("sync over a closed link")
	}
	for _, m := range must[api.Status](t, n, "status", nil).Models {
		t.Errorf("%+v came over a closed link", m)
	}
	must[api.Link](t, n, "link/set", api.LinkRequest{Name: "sat", Settings: []string{"month=10MB"}})
	eventually(t, "what waited comes", func() bool {
		return len(must[api.Status](t, n, "status", nil).Models) == 1
	})
}

// calls begins a session of a protocol and waits for its end.
func calls(t *testing.T, from *bystander, to peer.ID, id protocol.ID) error {
	t.Helper()
	s, err := from.node.net.Load().host.NewStream(t.Context(), to, id)
	if err != nil {
		return err
	}
	defer s.Reset() //nolint:errcheck // nothing is to be saved
	if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := s.Write([]byte{0}); err != nil {
		return err
	}
	if _, err := s.Read(make([]byte, 1)); err != nil {
		if strings.Contains(err.Error(), "reset") {
			return err
		}
		return fmt.Errorf("ended otherwise: %w", err)
	}
	return nil
}
