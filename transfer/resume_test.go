package transfer

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// TestLinkThatFlaps: a link that never holds for as long as a chunk takes brings
// a release all the same, and little of it twice.
func TestLinkThatFlaps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := makeRelease(t, 61, 300_000)
		hosts := simHosts(t, link{16_000, 50 * time.Millisecond}, link{mbit, 50 * time.Millisecond})
		narrow := func(c *Config) { c.Link = Narrow }
		a := newNode(t, hosts[0], r.seed(newMemStore(), nil), narrow)
		b := newNode(t, hosts[1], r.seedBlocks(newMemStore()), narrow)
		connect(t, hosts[1], hosts[0])
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- b.Fetch(within(t, time.Hour), Job{Release: r.manifest.CID, Files: r.files}) }()
		cuts := 0
		for ended := false; !ended; {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				ended = true
			case <-time.After(20 * time.Second):
				cuts++
				_ = hosts[1].Network().ClosePeer(hosts[0].ID())
				time.Sleep(2 * time.Second)
				connect(t, hosts[1], hosts[0])
			}
		}
		r.check(t, b.store)
		got, took := b.Stats().BytesReceived, time.Since(start)
		t.Logf("%d cuts, %d bytes for %d, %s", cuts, got, r.size(), took)
		if cuts < 5 || got > r.size()*110/100 {
			t.Errorf("%d cuts, %d bytes for %d, %s", cuts, got, r.size(), took)
		}
		a.stop()
		b.stop()
	})
}

// TestResumeOfSomethingElse: a server whose frame begins with other bytes sends
// it whole, and one that is asked to go on after its end, too.
func TestResumeOfSomethingElse(t *testing.T) {
	r := makeRelease(t, 62, 128<<10)
	a := newNode(t, newHost(t), r.seed(newMemStore(), nil))
	from := newHost(t)
	connect(t, from, a.host)
	for name, c := range map[string]struct {
		bytes uint32
		sum   manifest.Digest
	}{
		"other bytes": {5000, sha256.Sum256([]byte("x"))},
		"too many":    {1 << 20, sha256.Sum256([]byte("x"))},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialRaw(t, from, a.host.ID())
			mustSend(t, conn, greeting(), opening(r),
				&message{Resume: &resume{Bytes: c.bytes, Sum: c.sum}}, &message{Request: &ranges{Chunks: manifest.NewRanges(0, 1)}})
			for {
				m, err := conn.receive(10 * time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if m.Frame != nil {
					if m.Frame.From != 0 || m.Frame.Bytes < 128<<10 {
						t.Errorf("%+v", m.Frame)
					}
					return
				}
			}
		})
	}
}

// TestPartsAreBounded: what is kept of frames that were cut off has a bound.
func TestPartsAreBounded(t *testing.T) {
	r := makeRelease(t, 63, 16<<20)
	n := newNode(t, newHost(t), r.seedBlocks(newMemStore()))
	p, err := n.plan(r.files)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.slots {
		p.cutOff(i, make([]byte, 100<<10))
		if p.partBytes > maxPartBytes || len(p.parts) > maxParts {
			t.Fatalf("%d parts of %d bytes", len(p.parts), p.partBytes)
		}
	}
	for i := range p.slots {
		p.takePart(i)
	}
	if p.partBytes != 0 || len(p.parts) != 0 {
		t.Errorf("%d bytes in %d parts are left", p.partBytes, len(p.parts))
	}
}
