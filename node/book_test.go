package node

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

func newID(t *testing.T) peer.ID {
	t.Helper()
	_, pub, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func addrs(texts ...string) []multiaddr.Multiaddr {
	var out []multiaddr.Multiaddr
	for _, text := range texts {
		out = append(out, multiaddr.StringCast(text))
	}
	return out
}

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// What is saved is remembered by the next process, last seen first.
func TestBook(t *testing.T) {
	dir := t.TempDir()
	b := openBook(dir, discard)
	early, late := newID(t), newID(t)
	b.remember(early, addrs("/ip4/10.0.0.2/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1"), from("/ip4/10.0.0.2/tcp/1"), noon)
	b.remember(late, addrs("/ip4/10.0.0.3/tcp/1"), from("/ip4/10.0.0.3/tcp/1"), noon.Add(time.Minute))
	b.remember(newID(t), nil, from("/ip4/10.0.0.4/tcp/1"), noon) // nowhere to dial
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*book{b, openBook(dir, discard)} {
		all := b.all()
		if len(all) != 2 || all[0].ID != late || all[1].ID != early || len(all[1].Addrs) != 2 {
			t.Fatalf("remembers %v", all)
		}
		if got := b.lastSeen(early); !got.Equal(noon) {
			t.Errorf("seen at %s", got)
		}
		if !b.lastSeen(newID(t)).IsZero() {
			t.Error("a stranger was seen")
		}
	}
	if err := b.save(); err != nil || b.dirty {
		t.Errorf("saved twice: %v", err)
	}
}

// from is a meeting with a peer that connected from the address.
func from(address string) meeting { return meeting{source: sourceOf(multiaddr.StringCast(address))} }

// reached is a meeting with a peer that this node dialled.
func reached(address string) meeting { return meeting{reached: true, source: from(address).source} }

// crowd has many peers say that they can be reached, each from another IPv4
// address.
func crowd(t *testing.T, b *book, count int, at time.Time) {
	t.Helper()
	for i := range count {
		address := fmt.Sprintf("/ip4/10.1.%d.%d/tcp/1", i/250, 1+i%250)
		b.remember(newID(t), addrs(address), from(address), at.Add(time.Duration(i)*time.Second))
	}
}

func TestBookIsBounded(t *testing.T) {
	b := openBook(t.TempDir(), discard)
	first := newID(t)
	b.remember(first, addrs("/ip4/10.0.0.1/tcp/1"), from("/ip4/10.0.0.1/tcp/1"), noon)
	crowd(t, b, maxBookPeers-1, noon.Add(time.Second))
	if b.lastSeen(first).IsZero() {
		t.Error("forgotten although there is room")
	}
	var many []string
	for port := range 2 * maxBookAddresses {
		many = append(many, fmt.Sprintf("/ip4/10.0.0.2/tcp/%d", port+1))
	}
	b.remember(newID(t), addrs(many...), from(many[0]), noon.Add(time.Hour))
	all := b.all()
	if len(all) != maxBookPeers || len(all[0].Addrs) != maxBookAddresses || !b.lastSeen(first).IsZero() {
		t.Errorf("%d peers, %d addresses, the oldest: %s", len(all), len(all[0].Addrs), b.lastSeen(first))
	}
}

// However many identities a host makes up, and though it says so last, they take
// its share of the book and no more; what was reached before stays and is dialled
// first, in the next process too.
func TestBookIsNotFlooded(t *testing.T) {
	dir := t.TempDir()
	b := openBook(dir, discard)
	friend, neighbour := newID(t), newID(t)
	b.remember(friend, addrs("/ip4/10.0.0.1/tcp/1"), reached("/ip4/10.0.0.1/tcp/1"), noon)
	b.remember(friend, addrs("/ip4/10.0.0.1/tcp/2"), from("/ip4/10.0.0.1/tcp/99"), noon.Add(time.Second)) // it dials, this time
	b.remember(neighbour, addrs("/ip4/10.0.0.2/tcp/1"), from("/ip4/10.0.0.2/tcp/1"), noon)
	for i := range 2 * maxBookPeers {
		for _, address := range []string{"/ip4/10.0.0.66/tcp/1", fmt.Sprintf("/ip6/2001:db8::%x/tcp/1", i+1)} {
			b.remember(newID(t), addrs("/ip4/192.0.2.1/tcp/1"), from(address), noon.Add(time.Hour+time.Duration(i)*time.Second))
		}
	}
	if all := b.all(); len(all) != 2+2*maxBookPerSource || all[0].ID != friend || b.lastSeen(neighbour).IsZero() {
		t.Errorf("%d peers, neighbour seen at %s", len(all), b.lastSeen(neighbour))
	}
	// A whole network of hosts is too much for the neighbour, not for the friend.
	crowd(t, b, 2*maxBookPeers, noon.Add(2*time.Hour))
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	b = openBook(dir, discard)
	if all := b.all(); len(all) != maxBookPeers || all[0].ID != friend || all[0].Addrs[0].String() != "/ip4/10.0.0.1/tcp/2" {
		t.Errorf("%d peers, dials %v first", len(all), all[0])
	}
	if !b.lastSeen(neighbour).IsZero() {
		t.Error("the neighbour is remembered, though never reached and seen first")
	}
}

func TestSources(t *testing.T) {
	for address, want := range map[string]string{
		"/ip4/10.0.0.1/tcp/4617":            "10.0.0.1",
		"/ip4/10.0.0.1/udp/9/quic-v1":       "10.0.0.1",
		"/ip6/::ffff:10.0.0.1/tcp/1":        "10.0.0.1",
		"/ip6/2001:db8:1:2:3:4:5:6/tcp/1":   "2001:db8:1:2::",
		"/ip6zone/eth0/ip6/fe80::1:2/tcp/1": "fe80::",
		"/dns4/a.example/tcp/1":             "other",
	} {
		if got := sourceOf(multiaddr.StringCast(address)); got != want {
			t.Errorf("%s is of %s, want %s", address, got, want)
		}
	}
}

// A damaged book costs what it remembers, never the node.
func TestDamagedBook(t *testing.T) {
	good := newID(t)
	entry := func(key, address string) string {
		return fmt.Sprintf(`{%q: {"addresses": [%q], "last_seen": "2026-06-01T12:00:00Z"}}`, key, address)
	}
	for name, test := range map[string]struct {
		text string
		want int
	}{
		"whole":           {entry(good.String(), "/ip4/10.0.0.1/tcp/1"), 1},
		"another form":    {entry(peer.ToCid(good).String(), "/ip4/10.0.0.1/tcp/1"), 1},
		"no peer ID":      {entry("nobody", "/ip4/10.0.0.1/tcp/1"), 0},
		"no address":      {entry(good.String(), "10.0.0.1:1"), 0},
		"cut short":       {entry(good.String(), "/ip4/10.0.0.1/tcp/1")[:40], 0},
		"null":            {"null", 0},
		"empty":           {"", 0},
		"without an end":  {`{"` + strings.Repeat("x", maxBookBytes), 0},
		"of another kind": {`[1, 2]`, 0},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, bookName), test.text)
		b := openBook(dir, discard)
		if got := b.all(); len(got) != test.want {
			t.Errorf("%s: remembers %v, want %d", name, got, test.want)
		}
		if test.want == 1 && !b.lastSeen(good).Equal(noon) {
			t.Errorf("%s: seen at %s", name, b.lastSeen(good))
		}
		b.remember(newID(t), addrs("/ip4/10.0.0.9/tcp/1"), from("/ip4/10.0.0.9/tcp/1"), noon)
		if err := b.save(); err != nil || len(openBook(dir, discard).all()) != test.want+1 {
			t.Errorf("%s: not usable afterwards: %v", name, err)
		}
	}
}

// recordOf is what a peer that was heard of says of itself.
func recordOf(id peer.ID, seq uint64, site string, texts ...string) told {
	return told{id: id, seq: seq, site: site, addrs: addrs(texts...)}
}

// Whom others tell of is dialled after everybody that was met, is not "seen",
// takes the place of nobody who was met, and is forgotten when it does not answer.
func TestBookHears(t *testing.T) {
	dir := t.TempDir()
	b := openBook(dir, discard)
	friend, passer, stranger := newID(t), newID(t), newID(t)
	b.remember(friend, addrs("/ip4/10.0.0.1/tcp/1"), reached("/ip4/10.0.0.1/tcp/1"), noon)
	b.remember(passer, addrs("/ip4/10.0.0.2/tcp/1"), from("/ip4/10.0.0.2/tcp/1"), noon)
	if !b.hear(recordOf(stranger, 7, "attic", "/ip4/192.0.2.1/tcp/1"), "10.0.0.2", noon.Add(time.Hour)) {
		t.Error("not heard")
	}
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	b = openBook(dir, discard)
	all := b.all()
	if len(all) != 3 || all[0].ID != friend || all[1].ID != passer || all[2].ID != stranger {
		t.Fatalf("remembers %v", all)
	}
	if last := all[2]; last.met || !last.told || last.site != "attic" || !b.lastSeen(stranger).IsZero() {
		t.Errorf("the stranger is %+v, seen %s", last, b.lastSeen(stranger))
	}
	for i := range maxToldFailures {
		if len(b.all()) != 3 {
			t.Errorf("forgotten after %d failures", i)
		}
		for _, id := range []peer.ID{friend, passer, stranger, newID(t)} {
			b.failed(id)
		}
	}
	if all := b.all(); len(all) != 2 {
		t.Errorf("remembers %v", all)
	}
}

// A record is believed if it is newer than what was known, and moves a peer that
// was met to other addresses, not to another rank or share.
func TestBookHearsWhatIsNewer(t *testing.T) {
	b := openBook(t.TempDir(), discard)
	friend := newID(t)
	m := reached("/ip4/10.0.0.1/tcp/1")
	m.seq, m.site, m.local = 100, "here", true
	b.remember(friend, addrs("/ip4/10.0.0.1/tcp/1"), m, noon)
	for seq, want := range map[uint64]string{99: "/ip4/10.0.0.1/tcp/1", 100: "/ip4/10.0.0.1/tcp/1", 101: "/ip4/10.0.0.9/tcp/1"} {
		fresh := openBook(t.TempDir(), discard)
		fresh.remember(friend, addrs("/ip4/10.0.0.1/tcp/1"), m, noon)
		if fresh.hear(recordOf(friend, seq, "there", "/ip4/10.0.0.9/tcp/1"), "10.6.6.6", noon) != (seq > 100) {
			t.Errorf("sequence %d", seq)
		}
		all := fresh.all()
		if got := all[0]; got.Addrs[0].String() != want || got.site != "here" || !got.local || !got.met || got.source != "10.0.0.1" {
			t.Errorf("sequence %d: %+v", seq, got)
		}
	}
	if b.hear(recordOf(friend, 200, ""), "10.6.6.6", noon) {
		t.Error("a record without an address is heard")
	}
	// Its clock went back: what it says itself counts.
	m.seq = 50
	b.remember(friend, addrs("/ip4/10.0.0.1/tcp/1"), m, noon)
	if !b.hear(recordOf(friend, 60, "", "/ip4/10.0.0.9/tcp/1"), "10.6.6.6", noon) {
		t.Error("not heard after its clock went back")
	}
}

// One teller fills no more than its share, and pushes out nobody that was met.
func TestBookIsNotFilledByTellers(t *testing.T) {
	b := openBook(t.TempDir(), discard)
	crowd(t, b, maxBookPeers-10, noon)
	for i := range 2 * maxBookPeers {
		at := noon.Add(time.Hour + time.Duration(i)*time.Second)
		b.hear(recordOf(newID(t), 1, "", "/ip4/192.0.2.1/tcp/1"), "10.6.6.6", at)
		b.hear(recordOf(newID(t), 1, "", "/ip4/192.0.2.1/tcp/1"), fmt.Sprintf("10.7.%d.%d", i/250, i%250), at)
	}
	metPeers := 0
	for _, r := range b.all() {
		if r.met {
			metPeers++
		}
	}
	if metPeers != maxBookPeers-10 || len(b.all()) != maxBookPeers {
		t.Errorf("%d of %d were met", metPeers, len(b.all()))
	}
}
