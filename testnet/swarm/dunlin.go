package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
)

// dunlin is the product: one node at every place, whose sites are found by
// subnet; every node knows the publisher's address.
type dunlin struct {
	binary string
	preset string
	model  manifest.Model
	line   *timeline // nil if nobody wants it

	fleet     *testnet.Fleet
	publisher *testnet.Node
	takers    []*testnet.Node
	version   int
}

const (
	port            = "4617"
	parallelCalls   = 4              // of commands that prepare nodes
	transferTimeout = 24 * time.Hour // the bench's own is shorter
	statusPatience  = 30 * time.Second
)

func (d *dunlin) start(ctx context.Context, b *bed, w work, old []byte) (err error) {
	d.model = "acme/m"
	if d.fleet, err = testnet.New(d.binary, b.dir); err != nil {
		return err
	}
	if d.publisher, err = d.add(ctx, b.publisher); err != nil {
		return err
	}
	if _, err := d.publisher.Run(ctx, "publisher", "create", "acme"); err != nil {
		return err
	}
	root := filepath.Join(b.dir, "acme.root")
	if _, err := d.publisher.Run(ctx, "publisher", "export", "acme", "--out", root); err != nil {
		return err
	}
	if err := d.publisher.Start(ctx); err != nil {
		return err
	}
	status, err := d.publisher.Status(ctx)
	if err != nil {
		return err
	}
	known := fmt.Sprintf("/ip4/%s/tcp/%s/p2p/%s", b.publisher.Address(), port, status.PeerID)
	d.takers = make([]*testnet.Node, len(b.takers))
	if err := each(ctx, parallelCalls, len(b.takers), func(ctx context.Context, i int) error {
		n, err := d.add(ctx, b.takers[i], "--bootstrap", known)
		if err != nil {
			return err
		}
		d.takers[i] = n
		if _, err := n.Run(ctx, "trust", "add", root); err != nil {
			return err
		}
		if _, err := n.Run(ctx, "follow", string(d.model)); err != nil {
			return err
		}
		return n.Start(ctx)
	}); err != nil {
		return err
	}
	if err := each(ctx, len(d.takers), len(d.takers), func(ctx context.Context, i int) error {
		return d.takers[i].Until(ctx, "it knows a peer", func(s api.Status) bool { return s.Peers > 0 })
	}); err != nil || old == nil {
		return err
	}
	return d.update(ctx, b, w, old, func(int) {})
}

// add makes the home of a node.
func (d *dunlin) add(ctx context.Context, p place, args ...string) (*testnet.Node, error) {
	return d.fleet.AddAt(ctx, filepath.Join(p.name, "h"), p.Exec(), append([]string{"--no-runtime", "--preset", d.preset}, args...)...)
}

// update publishes the next version and waits for it at every node.
func (d *dunlin) update(ctx context.Context, b *bed, w work, data []byte, arrived func(int)) error {
	path := filepath.Join(b.publisher.dir, "weights.safetensors")
	if err := os.WriteFile(path, w.safetensors(data), 0o600); err != nil {
		return err
	}
	d.version++
	version := fmt.Sprint(d.version)
	d.line.begin()
	group, running := errgroup.WithContext(ctx)
	for i, n := range d.takers {
		group.Go(func() error {
			err := d.wait(running, n, b.takers[i].name, version)
			if err == nil {
				arrived(i)
			}
			return err
		})
	}
	group.Go(func() error {
		_, err := d.publisher.Run(running, "publish", path, "--model", string(d.model), "--version", version)
		d.line.note(b.publisher.name, "published")
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return d.check(ctx, w, data)
}

// wait is `dunlin wait`, by the same call, and notes what it tells on the way.
func (d *dunlin) wait(ctx context.Context, n *testnet.Node, name, version string) error {
	client, ok := api.Dial(ctx, n.Dir)
	if !ok {
		return fmt.Errorf("%s does not run; its log ends:\n%s", n.Name, n.LogTail())
	}
	var last string
	var told api.Progress
	err := client.Call(ctx, "wait", api.WaitRequest{Model: d.model, Version: version, Timeout: transferTimeout}, nil, func(p api.Progress) {
		if p.What != last {
			d.line.note(name, p.What)
		}
		if p.What == string(api.StateFetching) && p.Total > 0 {
			if told.Done == 0 && p.Done > 0 || told.Done < p.Total && p.Done == p.Total {
				d.line.note(name, fmt.Sprintf("%d of %d bytes here", p.Done, p.Total))
			}
			told = p
		}
		last = p.What
	})
	d.line.note(name, "verified")
	if err != nil {
		return fmt.Errorf("%s: %w; its log ends:\n%s", n.Name, err, n.LogTail())
	}
	return nil
}

// check compares what every node says it holds with what was published.
func (d *dunlin) check(ctx context.Context, w work, data []byte) error {
	want := w.safetensors(data)
	return each(ctx, parallelCalls, len(d.takers), func(ctx context.Context, i int) error {
		var r api.PathResult
		if err := d.takers[i].JSON(ctx, &r, "path", string(d.model)); err != nil {
			return err
		}
		if len(r.Files) != 1 {
			return fmt.Errorf("%s has %d files, want 1", d.takers[i].Name, len(r.Files))
		}
		return same(r.Files[0].Path, want)
	})
}

func (d *dunlin) use(*bed) ([]use, error) {
	var out []use
	for _, n := range append([]*testnet.Node{d.publisher}, d.takers...) {
		u, err := useOf(n.PID())
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), statusPatience)
		status, err := n.Status(ctx)
		cancel()
		if err != nil {
			return nil, err
		}
		u.Name, u.Came, u.Duplicates = filepath.Dir(n.Name), status.Network.TransferIn, status.Network.Duplicates
		out = append(out, u)
	}
	return out, nil
}

func (d *dunlin) stop() error {
	if d.fleet == nil {
		return nil
	}
	var mu sync.Mutex
	var errs []error
	_ = each(context.Background(), parallelCalls, len(d.fleet.Nodes()), func(_ context.Context, i int) error {
		err := d.fleet.Nodes()[i].Stop()
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
		return nil
	})
	return errors.Join(errs...)
}

// each calls f for 0 to n-1, so many at a time, and returns the first error.
func each(ctx context.Context, parallel, n int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, parallel))
	for i := range n {
		group.Go(func() error { return f(ctx, i) })
	}
	return group.Wait()
}
