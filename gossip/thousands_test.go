package gossip

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/raced"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/trust"
)

// crowded makes a publisher with many models at once, which a Signer would sign
// one after the other: its next metadata, by hand, which the signer adopts.
func crowded(t testing.TB, models int) *trust.Signer {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "acme")
	s, err := trust.CreatePublisher(dir, "acme", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	file, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(file)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key := parsed.(ed25519.PrivateKey)
	document := func(signed string) []byte {
		return fmt.Appendf(nil, `{"signatures":[{"keyid":"1","sig":"%x"}],"signed":%s}`, ed25519.Sign(key, []byte(signed)), signed)
	}
	entry := func(name string, data []byte, version int) string {
		return fmt.Sprintf(`"%s.json":{"hashes":{"sha256":"%x"},"version":%d}`, name, sha256.Sum256(data), version)
	}
	const spec = `"spec_version":"1.0.31"`
	expires := `"expires":"` + time.Now().Add(trust.FreshLifetime).UTC().Format("2006-01-02T15:04:05Z") + `"`
	u := trust.Update{Publisher: s.Fingerprint()}
	var delegations, entries []string
	for i := range models {
		model := fmt.Sprintf("model-%04d", i)
		role := document(fmt.Sprintf(`{"_type":"targets",%s,%s,"targets":{"%s/1.0.0":{"custom":{"created":%d,"sequence":1},"hashes":{"sha256":"%x"},"length":700}},"version":1,"x-dunlin-snapshot":2}`,
			expires, spec, model, time.Now().Unix(), sha256.Sum256([]byte(model))))
		u.Roles = append(u.Roles, trust.Role{Name: "m-" + model, Data: role})
		delegations = append(delegations, fmt.Sprintf(`{"keyids":["1"],"name":"m-%s","paths":["%s/*"],"terminating":true,"threshold":1}`, model, model))
		entries = append(entries, entry("m-"+model, role, 1))
	}
	public := fmt.Sprintf(`{"1":{"keytype":"ed25519","keyval":{"public":"%x"},"scheme":"ed25519"}}`, key.Public())
	u.Targets = document(fmt.Sprintf(`{"_type":"targets","delegations":{"keys":%s,"roles":[%s]},%s,%s,"targets":{},"version":2}`, public, strings.Join(delegations, ","), expires, spec))
	u.Snapshot = document(fmt.Sprintf(`{"_type":"snapshot",%s,"meta":{%s},%s,"version":2}`, expires, strings.Join(append(entries, entry("targets", u.Targets, 2)), ","), spec))
	u.Timestamp = document(fmt.Sprintf(`{"_type":"timestamp",%s,"meta":{%s},%s,"version":2}`, expires, entry("snapshot", u.Snapshot, 2), spec))
	if _, err := s.Adopt(u); err != nil {
		t.Fatal(err)
	}
	return s
}

// One release of one model among 4,000 of one publisher costs what it costs
// among one, from any older state, and so does a new model.
func TestOneOfThousandsOfModels(t *testing.T) {
	if raced.Enabled {
		t.Skip("figures for bytes, of thousands of models: too slow with the race detector")
	}
	cost := func(models int) (head, release, older, novel int64) {
		synctest.Test(t, func(t *testing.T) {
			acme := crowded(t, models)
			a, b, c := registry(t, trust.PolicyStrict), registry(t, trust.PolicyStrict), registry(t, trust.PolicyStrict)
			pin(t, acme, a, b, c)
			for _, r := range []*trust.Registry{a, b, c} {
				take(t, acme, r)
			}
			f := newFlock(t, WAN, a, b, c)
			f.connect(0, 1)
			f.settle()
			sync, topic := f.nodes[1].host.of(SyncProtocol), f.nodes[1].host.of(meshProtocol)
			spread := func(model, version string) int64 {
				sign(t, acme, model, version)
				take(t, acme, a)
				before := sync.both()
				if err := f.nodes[0].gossip.Announce(t.Context(), acme.Head()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Second)
				if latest, _ := b.Latest(manifest.Model("acme/" + model)); latest.Version != version {
					t.Fatalf("%s is %s, want %s", model, latest.Version, version)
				}
				return sync.both() - before
			}
			before := topic.both()
			release = spread("model-0000", "1.1.0")
			head = topic.both() - before
			novel = spread("model-new", "1.0.0")
			for i := range 3 { // the older the state, the more has changed, and no more
				spread("model-0000", fmt.Sprintf("1.2.%d", i))
			}
			before = f.nodes[2].host.of(SyncProtocol).both()
			f.connect(1, 2) // b has not signed anything itself
			time.Sleep(10 * time.Second)
			older = f.nodes[2].host.of(SyncProtocol).both() - before
			if latest, _ := c.Latest("acme/model-0000"); latest.Version != "1.2.2" {
				t.Fatalf("model-0000 is %s", latest.Version)
			}
		})
		return head, release, older, novel
	}
	many := 4000
	if testing.Short() {
		many = 100
	}
	h1, r1, o1, n1 := cost(1)
	h, r, o, n := cost(many)
	t.Logf("1 model: head %d, release %d, two models of an older state %d, new model %d bytes; %d models: %d, %d, %d, %d", h1, r1, o1, n1, many, h, r, o, n)
	if r > r1+30 || o > o1+60 || n > n1+30 || h+r > 4000 || o > 4000 || n > 4000 {
		t.Error("updates cost more with more models, or over 4,000 bytes")
	}
}
