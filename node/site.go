package node

import (
	"context"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dunlin-mesh/dunlin/links"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/site"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// neighbourhood is the site as package transfer wants it.
type neighbourhood struct{ *site.Site }

// Join implements transfer.Site.
func (n neighbourhood) Join(release manifest.CID) transfer.Errand {
	return errand{n.Site.Join(release)}
}

type errand struct{ *site.Errand }

// Turn implements transfer.Errand.
func (e errand) Turn() (transfer.Turn, <-chan struct{}) {
	turn, changed := e.Errand.Turn()
	return transfer.Turn(turn), changed
}

func (n *Node) newSite(h host.Host) (*site.Site, error) {
	return site.New(site.Config{
		Host: h, Label: n.config.Site, Gateways: n.config.SiteGateways, Lease: n.config.Preset.lease(), Logger: n.log,
		Closed: func(c network.Conn) bool {
			link := linkOf(n.paths.Path(c))
			return link != nil && !isOpen(link)
		},
	})
}

// isOpen says whether a link is closed neither by schedule nor by budget.
func isOpen(l *links.Link) bool {
	_, err := l.Admit(links.Use{})
	return err == nil
}

// watchLinks has the site look again whenever a link has closed or opened, until
// ctx ends: whose only way out is closed has no contact with the outside, and
// another member may have.
func (n *Node) watchLinks(ctx context.Context, net *online) error {
	ticker := time.NewTicker(gateAgain)
	defer ticker.Stop()
	var before []bool
	for {
		var now []bool
		for _, l := range n.paths.set.All() {
			now = append(now, isOpen(l))
		}
		if before != nil && !slices.Equal(now, before) {
			net.site.Rescan()
		}
		before = now
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// lease is how long a member of a site may fetch over such a link without
// anything coming before another one takes over: the longest chunk must get
// through.
func (p Preset) lease() time.Duration {
	switch p {
	case Narrow:
		return 90 * time.Second
	case Satellite:
		return 3 * time.Minute
	}
	return 15 * time.Second
}

// tellPins tells the site which publishers this node is to hear of.
func (n *Node) tellPins() {
	net := n.net.Load()
	if net == nil {
		return
	}
	var pins [][]byte
	for _, p := range n.trust.Publishers() {
		pins = append(pins, p.Fingerprint[:])
	}
	net.site.Pins(pins)
}
