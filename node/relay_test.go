package node

import (
	"bytes"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// Two nodes that nobody can dial find each other through a third that they both
// know, and one gets a release from the other over it, though the third does not
// hold it.
func TestReleaseThroughRelay(t *testing.T) {
	relay := start(t, newHome(t, func(c *Config) { c.Site = "hub" }), nil)
	address := relay.address(t)
	hidden := func(site string) *bystander {
		return start(t, newHome(t, func(c *Config) { c.Site, c.Listen, c.Bootstrap = site, []string{"none"}, []string{address} }), nil)
	}
	ashore, afloat := hidden("shore"), hidden("ship")
	root := must[api.PublisherRoot](t, ashore, "publisher/create", api.PublisherRequest{Name: "acme"}).Root
	must[api.Publisher](t, afloat, "trust", api.TrustRequest{Root: root})
	must[api.Rules](t, afloat, "follow", api.RulesRequest{Models: []string{"acme/vad"}})
	content := random(7, 300_000)
	publish(t, ashore, "acme/vad", "1.0.0", "vad.bin", content)
	if got := arrive(t, afloat, "acme/vad", "1.0.0"); !bytes.Equal(got, content) {
		t.Errorf("%d bytes arrived", len(got))
	}
	for _, m := range must[api.Status](t, relay, "status", nil).Models {
		t.Errorf("the relay has %+v", m)
	}
}
