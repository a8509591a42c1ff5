package node

import (
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// Neighbours on one machine are members of a site, nodes with other labels are
// not, and peers and status say so.
func TestPeersSayWhoIsNear(t *testing.T) {
	t.Parallel()
	p, root := publisher(t) // at "press"
	for _, test := range []struct {
		label string
		local bool
	}{{"", true}, {"press", true}, {"elsewhere", false}} {
		n := neighbour(t, p, root, nil, at(test.label))
		want := api.Peer{ID: p.node.ID().String(), Local: test.local, Member: test.local, Site: "press"}
		until(t, n, "the publisher is seen as it is", func() bool {
			peers := must[[]api.Peer](t, n, "peers", nil)
			return len(peers) == 1 && peers[0].ID == want.ID && peers[0].Local == want.Local && peers[0].Member == want.Member &&
				peers[0].Site == want.Site
		})
		members := 1
		if test.local {
			members = 2
		}
		until(t, n, "status counts members, and one of a site is its gateway", func() bool {
			s := must[api.Status](t, n, "status", nil)
			peers := must[[]api.Peer](t, n, "peers", nil)
			other := len(peers) == 1 && peers[0].Gateway
			return s.Members == members && s.Gateway != other
		})
		n.stop()
	}
}

func TestSiteConfig(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"site label":    func(c *Config) { c.Site = "a (b)" },
		"site_gateways": func(c *Config) { c.SiteGateways = 9 },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
