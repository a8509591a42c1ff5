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
	b.remember(early, addrs("/ip4/10.0.0.2/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1"), noon)
	b.remember(late, addrs("/ip4/10.0.0.3/tcp/1"), noon.Add(time.Minute))
	b.remember(newID(t), nil, noon) // nowhere to dial
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

func TestBookIsBounded(t *testing.T) {
	b := openBook(t.TempDir(), discard)
	first := newID(t)
	b.remember(first, addrs("/ip4/10.0.0.1/tcp/1"), noon)
	for i := range maxBookPeers {
		var many []string
		for port := range 2 * maxBookAddresses {
			many = append(many, fmt.Sprintf("/ip4/10.0.0.1/tcp/%d", port+1))
		}
		b.remember(newID(t), addrs(many...), noon.Add(time.Duration(i+1)*time.Second))
	}
	all := b.all()
	if len(all) != maxBookPeers || len(all[0].Addrs) != maxBookAddresses || !b.lastSeen(first).IsZero() {
		t.Errorf("%d peers, %d addresses, the oldest: %s", len(all), len(all[0].Addrs), b.lastSeen(first))
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
		b.remember(newID(t), addrs("/ip4/10.0.0.9/tcp/1"), noon)
		if err := b.save(); err != nil || len(openBook(dir, discard).all()) != test.want+1 {
			t.Errorf("%s: not usable afterwards: %v", name, err)
		}
	}
}
