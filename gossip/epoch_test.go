package gossip

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/trust"
)

// A node that lost what it believed, all of it or what came after a backup,
// holds the newest after its first contact, under the identity that its peers
// know. Nobody is rolled back, blamed or accused, whichever side begins, and
// also where both have met before and remember it.
func TestStateLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(t *testing.T, dir, backup string) // what happens while the node is down
		pin  func(*trust.Registry, *trust.Signer) error
	}{
		{"trust folder lost, pinned again by fingerprint", func(t *testing.T, dir, _ string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}, func(r *trust.Registry, s *trust.Signer) error {
			_, err := r.PinFingerprint("", s.Fingerprint())
			return err
		}},
		{"trust folder lost, pinned again by root", func(t *testing.T, dir, _ string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}, func(r *trust.Registry, s *trust.Signer) error {
			_, err := r.Pin(s.Root())
			return err
		}},
		{"restored from an old backup", func(t *testing.T, dir, backup string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			copyTree(t, backup, dir)
		}, func(*trust.Registry, *trust.Signer) error { return nil }},
	} {
		for _, lost := range []int{0, 1} {
			synctest.Test(t, func(t *testing.T) {
				acme := signer(t)
				sign(t, acme, "vad", "1.0.0")
				dir, backup := filepath.Join(t.TempDir(), "trust"), filepath.Join(t.TempDir(), "backup")
				open := func() *trust.Registry {
					r, err := trust.Open(trust.Config{Dir: dir, Policy: trust.PolicyOffline})
					if err != nil {
						t.Fatal(err)
					}
					return r
				}
				victim, other := open(), registry(t, trust.PolicyOffline)
				pin(t, acme, victim, other)
				take(t, acme, victim)
				copyTree(t, dir, backup)
				sign(t, acme, "vad", "1.1.0")
				sign(t, acme, "asr", "1.0.0")
				take(t, acme, victim)
				states := []State{victim, other}
				if lost == 1 {
					states = []State{other, victim}
				}
				f := newFlock(t, LAN, states...)
				f.connect(0, 1)
				time.Sleep(10 * time.Second) // both hold 1.1.0 and have met

				n := f.nodes[lost]
				n.stop()
				f.disconnect(0, 1)
				if err := victim.Close(); err != nil {
					t.Fatal(err)
				}
				tt.lose(t, dir, backup)
				victim = open()
				defer victim.Close()
				if err := tt.pin(victim, acme); err != nil {
					t.Fatal(err)
				}
				again := newNode(t, n.host.Host, LAN, victim)
				again.total = n.total
				f.nodes[lost] = again
				again.start()
				defer again.stop()
				sign(t, acme, "vad", "1.2.0") // while it was away
				take(t, acme, other)
				f.connect(0, 1)
				time.Sleep(10 * time.Second)
				for i, r := range []*trust.Registry{victim, other} {
					if got := newest(r); got != "1.2.0" {
						t.Errorf("%s: registry %d believes in %q, want 1.2.0", tt.name, i, got)
					}
					if evidence, err := r.Evidence(); err != nil || len(evidence) > 0 {
						t.Errorf("%s: registry %d has %d pieces of evidence (%v)", tt.name, i, len(evidence), err)
					}
				}
				for i, n := range f.nodes {
					if until := n.gossip.parole.until(f.nodes[1-i].host.ID()); !until.IsZero() {
						t.Errorf("%s: node %d blames its peer", tt.name, i)
					}
				}
				if victim.Have(acme.Fingerprint()) != other.Have(acme.Fingerprint()) {
					t.Errorf("%s: the nodes differ", tt.name)
				}
			})
		}
	}
}

// An old backup announces what it holds as if it were new: nobody goes back.
func TestOldBackupAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acme := newAuthor("acme")
		acme.release("vad", 700)
		old := stateOf(acme)
		head := acme.head()
		acme.release("vad", 700)
		f := newFlock(t, LAN, old, stateOf(acme), stateOf(acme))
		if err := f.nodes[0].gossip.Announce(t.Context(), head); err != nil {
			t.Fatal(err)
		}
		f.line()
		time.Sleep(10 * time.Second)
		f.wantVersion(acme, 2, 0, 1, 2)
		if got := f.nodes[1].changes.Load() + f.nodes[2].changes.Load(); got != 0 {
			t.Errorf("%d changes at nodes that held the newest", got)
		}
	})
}

// A publisher that went back to a backup of its keys and signed on contradicts
// itself. A node that follows the other past cannot build on the difference, so
// it asks for everything, blames nobody, and has the newest.
func TestOtherPastAsksForEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, twinDir := filepath.Join(t.TempDir(), "acme"), filepath.Join(t.TempDir(), "twin")
		acme, err := trust.CreatePublisher(dir, "acme", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		sign(t, acme, "vad", "1.0.0")
		if err := acme.Close(); err != nil {
			t.Fatal(err)
		}
		copyTree(t, dir, twinDir)
		if acme, err = trust.OpenSigner(dir); err != nil {
			t.Fatal(err)
		}
		defer acme.Close()
		twin, err := trust.OpenSigner(twinDir)
		if err != nil {
			t.Fatal(err)
		}
		defer twin.Close()
		a, b := registry(t, trust.PolicyOffline), registry(t, trust.PolicyOffline)
		pin(t, acme, a, b)
		if err := twin.Refresh(time.Now()); err != nil {
			t.Fatal(err)
		}
		take(t, twin, b)
		sign(t, acme, "asr", "1.0.0") // under the version that twin's refresh has
		sign(t, acme, "vad", "1.1.0")
		take(t, acme, a)
		f := newFlock(t, LAN, a, b)
		f.connect(0, 1)
		time.Sleep(time.Second)
		if got := newest(b); got != "1.1.0" {
			t.Errorf("newest is %q, want 1.1.0", got)
		}
		if _, ok := b.Latest("acme/asr"); !ok {
			t.Error("acme/asr is missing")
		}
		if until := f.nodes[1].gossip.parole.until(f.nodes[0].host.ID()); !until.IsZero() {
			t.Error("the peer is on parole for a past that it does not know")
		}
		if sessions := f.nodes[0].host.of(SyncProtocol).streams.Load(); sessions != 1 {
			t.Errorf("%d sessions, want 1", sessions)
		}
	})
}
