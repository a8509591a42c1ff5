package gossip

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/trust"
)

var _ State = (*trust.Registry)(nil)

func signer(t *testing.T) *trust.Signer {
	t.Helper()
	s, err := trust.CreatePublisher(t.TempDir(), "acme", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func registry(t *testing.T, policy trust.Policy) *trust.Registry {
	t.Helper()
	r, err := trust.Open(trust.Config{Dir: filepath.Join(t.TempDir(), "trust"), Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func pin(t *testing.T, s *trust.Signer, registries ...*trust.Registry) {
	t.Helper()
	for _, r := range registries {
		if _, err := r.Pin(s.Root()); err != nil {
			t.Fatal(err)
		}
	}
}

func sign(t *testing.T, s *trust.Signer, model, version string) {
	t.Helper()
	block := fmt.Appendf(nil, "manifest of %s@%s", model, version)
	_, err := s.Sign(trust.SignRequest{
		Model: manifest.Model(s.Name() + "/" + model), Version: version,
		Manifest: manifest.SumCID(manifest.DagCBOR, block), Size: uint64(len(block)), Now: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// take gives r what s has signed, as publishing does.
func take(t *testing.T, s *trust.Signer, r *trust.Registry) {
	t.Helper()
	u, ok := s.Update(r.Have(s.Fingerprint()))
	if !ok {
		t.Fatal("nothing to take")
	}
	if _, err := r.Apply(s.Fingerprint(), u); err != nil {
		t.Fatal(err)
	}
}

// newest returns the version of acme/vad that r believes in.
func newest(r *trust.Registry) string {
	release, _ := r.Latest("acme/vad")
	return release.Version
}

// The real trust metadata keeps within the budget: a head and the update of
// one model of a publisher with three, to one peer, both directions.
func TestUpdateBudgetOfRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := signer(t)
		for _, model := range []string{"vad", "asr", "kws"} {
			for i := range 5 {
				sign(t, acme, model, fmt.Sprintf("1.%d.0", i))
			}
		}
		a, b := registry(t, trust.PolicyStrict), registry(t, trust.PolicyStrict)
		pin(t, acme, a, b)
		take(t, acme, a)
		f := newFlock(t, Narrow, a, b)
		f.connect(0, 1)
		f.settle()
		time.Sleep(time.Minute)
		sign(t, acme, "vad", "1.5.0")
		take(t, acme, a)
		topic, sync := f.nodes[0].host.of(meshProtocol), f.nodes[0].host.of(SyncProtocol)
		topicBefore, syncBefore, totalBefore := topic.both(), sync.both(), f.nodes[0].total.both()
		if err := f.nodes[0].gossip.Announce(t.Context(), acme.Head()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := newest(b); got != "1.5.0" {
			t.Fatalf("newest is %q", got)
		}
		update, _ := acme.Update(trust.Have{Root: 1, Timestamp: 15, Snapshot: 15, Targets: 15})
		head, learnt := topic.both()-topicBefore, sync.both()-syncBefore
		t.Logf("topic %d bytes, sync %d bytes (of %d bytes of metadata), with negotiation %d", head, learnt, update.Bytes(), f.nodes[0].total.both()-totalBefore)
		if head == 0 || head+learnt > 3000 {
			t.Errorf("%d bytes of topic and %d of sync, want at most 3000 together", head, learnt)
		}
	})
}

// Years without contact, a publisher known by fingerprint alone, and expired
// metadata on the way: the registry of an offline site catches up at the first
// contact.
func TestRegistryAfterYears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := signer(t)
		sign(t, acme, "vad", "1.0.0")
		knows, away := registry(t, trust.PolicyOffline), registry(t, trust.PolicyOffline)
		pin(t, acme, knows)
		if _, err := away.PinFingerprint("acme", acme.Fingerprint()); err != nil {
			t.Fatal(err)
		}
		for year := range 5 {
			time.Sleep(365 * 24 * time.Hour)
			sign(t, acme, "vad", fmt.Sprintf("2.%d.0", year))
		}
		take(t, acme, knows)
		time.Sleep(5 * 365 * 24 * time.Hour)
		f := newFlock(t, Satellite, knows, away)
		f.connect(0, 1)
		time.Sleep(5 * time.Minute)
		if got := newest(away); got != "2.4.0" {
			t.Errorf("newest is %q, want 2.4.0", got)
		}
	})
}

// A site that refuses expired metadata does not blame whoever brings it, and
// is not sent the same metadata again and again.
func TestRegistryRefusesExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := signer(t)
		sign(t, acme, "vad", "1.0.0")
		knows, strict := registry(t, trust.PolicyOffline), registry(t, trust.PolicyStrict)
		pin(t, acme, knows, strict)
		take(t, acme, knows)
		time.Sleep(50 * 365 * 24 * time.Hour)
		f := newFlock(t, LAN, knows, strict)
		f.connect(0, 1)
		time.Sleep(time.Minute)
		if got := newest(strict); got != "" {
			t.Errorf("newest is %q", got)
		}
		if until := f.nodes[1].gossip.parole.until(f.nodes[0].host.ID()); !until.IsZero() {
			t.Error("the peer is on parole for expired metadata")
		}
		if stream, _ := f.exchanged(f.syncNow); stream > 60 {
			t.Errorf("meeting again cost %d bytes", stream)
		}
	})
}

// Both nodes keep evidence when a publisher told them different things.
func TestRegistryKeepsEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		acme, err := trust.CreatePublisher(dir, "acme", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		twinDir := filepath.Join(t.TempDir(), "twin")
		if err := acme.Close(); err != nil {
			t.Fatal(err)
		}
		copyTree(t, dir, twinDir)
		acme, err = trust.OpenSigner(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer acme.Close()
		twin, err := trust.OpenSigner(twinDir)
		if err != nil {
			t.Fatal(err)
		}
		defer twin.Close()
		sign(t, acme, "vad", "1.0.0")
		sign(t, twin, "asr", "1.0.0")
		a, b := registry(t, trust.PolicyStrict), registry(t, trust.PolicyStrict)
		pin(t, acme, a, b)
		take(t, acme, a)
		take(t, twin, b)
		f := newFlock(t, LAN, a, b)
		f.connect(0, 1)
		time.Sleep(time.Minute)
		for i, r := range []*trust.Registry{a, b} {
			evidence, err := r.Evidence()
			if err != nil || len(evidence) == 0 {
				t.Errorf("node %d has %d pieces of evidence (%v)", i, len(evidence), err)
			}
			if until := f.nodes[i].gossip.parole.until(f.nodes[1-i].host.ID()); !until.IsZero() {
				t.Errorf("node %d blames its peer", i)
			}
		}
	})
}

// Real registries on real hosts, TCP over loopback, in real time.
func TestLoopbackTCP(t *testing.T) {
	acme := signer(t)
	sign(t, acme, "vad", "1.0.0")
	a, b, c := registry(t, trust.PolicyOffline), registry(t, trust.PolicyOffline), registry(t, trust.PolicyOffline)
	pin(t, acme, a, b, c)
	take(t, acme, a)
	arrived := make(chan int, 16)
	ctx, cancel := context.WithCancel(t.Context())
	var hosts []host.Host
	var nodes []*Gossip
	ended := make(chan error, 3)
	for i, r := range []*trust.Registry{a, b, c} {
		h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		g, err := New(Config{Host: h, Mesh: "loopback", State: r, OnChange: func(trust.Fingerprint) { arrived <- i }})
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- g.Run(ctx) }()
		hosts, nodes = append(hosts, h), append(nodes, g)
	}
	for i := range 2 {
		if err := hosts[i].Connect(ctx, peer.AddrInfo{ID: hosts[i+1].ID(), Addrs: hosts[i+1].Addrs()}); err != nil {
			t.Fatal(err)
		}
	}
	wait := func(version string, nodes int) {
		t.Helper()
		for range nodes {
			select {
			case <-arrived:
			case <-time.After(30 * time.Second):
				t.Fatalf("%s did not arrive everywhere", version)
			}
		}
		for i, r := range []*trust.Registry{a, b, c} {
			if got := newest(r); got != version {
				t.Errorf("node %d: newest is %q, want %s", i, got, version)
			}
		}
	}
	wait("1.0.0", 2)
	sign(t, acme, "vad", "1.1.0")
	take(t, acme, a)
	if err := nodes[0].Announce(ctx, acme.Head()); err != nil {
		t.Fatal(err)
	}
	wait("1.1.0", 2)
	if err := nodes[2].Sync(ctx, hosts[1].ID()); err != nil {
		t.Error(err)
	}
	cancel()
	for range 3 {
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// copyTree copies a folder of keys, for its owner only.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
