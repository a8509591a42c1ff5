package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// rsync brings the file by rsync's own protocol, compressed: every node from
// the publisher, or, as a careful hand would script it, one gateway of each
// site from the publisher and the others from that gateway.
type rsync struct {
	gateways bool
	processes
}

const (
	modelName   = "model.bin"
	rsyncPort   = "8730"
	startupTime = time.Second // for a daemon that says nothing when it is up
)

func (r *rsync) start(ctx context.Context, b *bed, _ work, old []byte) error {
	servers := []place{b.publisher}
	for i, p := range b.takers {
		if old != nil {
			if err := writeOld(filepath.Join(p.dir, modelName), old); err != nil {
				return err
			}
		}
		if r.gateways && isGateway(b, i) {
			servers = append(servers, p)
		}
	}
	for _, p := range servers {
		config := filepath.Join(p.dir, "rsyncd.conf")
		text := fmt.Sprintf("use chroot = no\nreverse lookup = no\nuid = 0\ngid = 0\n[m]\npath = %s\nread only = yes\n", p.dir)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return err
		}
		if _, err := r.launch(p, nil, "rsync", "--daemon", "--no-detach", "--config", config, "--port", rsyncPort); err != nil {
			return err
		}
	}
	return pause(ctx, startupTime)
}

// isGateway says whether a taker is the first of its site.
func isGateway(b *bed, i int) bool { return i == 0 || b.takers[i-1].Site() != b.takers[i].Site() }

func (r *rsync) update(ctx context.Context, b *bed, _ work, updated []byte, arrived func(int)) error {
	if err := os.WriteFile(filepath.Join(b.publisher.dir, modelName), updated, 0o600); err != nil {
		return err
	}
	gateways := make([]int, len(b.takers))        // from which each pulls: an index of b.takers, -1 for the publisher
	ready := make([]chan struct{}, len(b.takers)) // closed when the node may be pulled from
	gateway := 0
	for i := range b.takers {
		ready[i] = make(chan struct{})
		gateways[i] = -1
		if isGateway(b, i) {
			gateway = i
		} else if r.gateways {
			gateways[i] = gateway
		}
	}
	if err := each(ctx, len(b.takers), len(b.takers), func(ctx context.Context, i int) error {
		p, from := b.takers[i], b.publisher
		if g := gateways[i]; g >= 0 {
			from = b.takers[g]
			select {
			case <-ready[g]:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		source := fmt.Sprintf("rsync://%s:%s/m/%s", from.Address(), rsyncPort, modelName)
		u, err := once(ctx, p, "rsync", "-z", "--ignore-times", source, modelName)
		if err != nil {
			return err
		}
		arrived(i)
		close(ready[i])
		r.spend(p, u)
		return nil
	}); err != nil {
		return err
	}
	return sameEverywhere(b, updated)
}

func (r *rsync) stop() error {
	r.processes.stop()
	return nil
}

// sameEverywhere compares what every taker holds with what was published.
func sameEverywhere(b *bed, want []byte) error {
	var errs []error
	for _, p := range b.takers {
		errs = append(errs, same(filepath.Join(p.dir, modelName), want))
	}
	return errors.Join(errs...)
}

// writeOld writes a file that looks an hour old.
func writeOld(path string, data []byte) error {
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	then := time.Now().Add(-time.Hour)
	return os.Chtimes(path, then, then)
}
