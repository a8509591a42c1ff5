package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dunlin-mesh/dunlin/testnet/lab"
)

// publisherSite is the site of the one node that publishes.
const publisherSite = 0

// bed is what a system is measured in: a lab, and a folder for each place.
type bed struct {
	*lab.Lab
	dir       string // short: Unix sockets lie below
	rate      lab.Rate
	publisher place
	takers    []place // every other node, site by site
}

// place is a node of the lab with a folder for the files of what runs there.
type place struct {
	*lab.Node
	name string
	dir  string
	home int // the site where it is first
}

// newBed makes a publisher and the sites of a case. Uplinks have no bound yet, so
// that preparations take no time: see narrow.
func newBed(ctx context.Context, c benchCase) (b *bed, err error) {
	dir, err := os.MkdirTemp("", "sw-")
	if err != nil {
		return nil, err
	}
	config := lab.Config{Sites: []lab.Site{{Nodes: 1}}}
	for range c.sites {
		config.Sites = append(config.Sites, lab.Site{Nodes: c.nodes})
	}
	if c.kind == theCourier {
		config.Sites[courierSite].Nodes++ // comes last of its site
	}
	l, err := lab.New(ctx, config)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	b = &bed{Lab: l, dir: dir, rate: c.rate}
	for site := range l.Sites() {
		for i, n := range l.Nodes(site) {
			p := place{Node: n, name: fmt.Sprintf("s%dn%d", site, i), home: site}
			p.dir = filepath.Join(dir, p.name)
			if err := os.Mkdir(p.dir, 0o700); err != nil {
				return nil, errors.Join(err, b.Close())
			}
			if site == publisherSite {
				b.publisher = p
			} else {
				b.takers = append(b.takers, p)
			}
		}
	}
	return b, nil
}

// Close removes the lab, what runs in it, and the folder.
func (b *bed) Close() error { return errors.Join(b.Lab.Close(), os.RemoveAll(b.dir)) }

// narrow gives every uplink its rate.
func (b *bed) narrow(ctx context.Context) error {
	for site := range b.Sites() {
		if err := b.SetRate(ctx, site, b.rate, b.rate); err != nil {
			return err
		}
	}
	return nil
}

// since returns what has crossed each uplink since an earlier reading.
func (b *bed) since(before []lab.Counter) ([]lab.Counter, error) {
	crossed, err := b.Counters()
	for site := range crossed {
		crossed[site] = crossed[site].Sub(before[site])
	}
	return crossed, err
}

// Settling: over at all sites together, uplinks are as good as silent if they
// carry no more than this in quietFor; after settlePatience they are taken as
// they are.
const (
	quietBytes     = 2000
	quietFor       = 3 * time.Second
	settlePatience = 45 * time.Second
)

// settle waits until the uplinks are as good as silent.
func (b *bed) settle(ctx context.Context) error {
	deadline := time.Now().Add(settlePatience)
	for time.Now().Before(deadline) {
		before, err := b.Counters()
		if err != nil {
			return err
		}
		if err := pause(ctx, quietFor); err != nil {
			return err
		}
		crossed, err := b.since(before)
		if err != nil {
			return err
		}
		var carried uint64
		for _, c := range crossed {
			carried += c.BytesIn
		}
		if carried <= quietBytes {
			return nil
		}
	}
	return nil
}

// pause sleeps unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
