package node

import (
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
	deliver(t, ashore, afloat)
	for _, m := range must[api.Status](t, relay, "status", nil).Models {
		t.Errorf("the relay has %+v", m)
	}
}
