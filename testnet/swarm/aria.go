package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// aria is BitTorrent by aria2: a tracker at the publisher, exchange of peers,
// and local peer discovery on each LAN. A new file is a new torrent; pieces
// that the old file has are not fetched.
type aria struct {
	processes
	tracker *tracker
	version int
}

const (
	trackerPort  = "6969"
	pollInterval = 20 * time.Millisecond
)

func (a *aria) start(ctx context.Context, b *bed, _ work, old []byte) (err error) {
	if a.tracker, err = newTracker(ctx, b.publisher, trackerPort); err != nil {
		return err
	}
	for _, p := range b.takers {
		if old != nil {
			if err := os.WriteFile(filepath.Join(p.dir, modelName), old, 0o600); err != nil {
				return err
			}
		}
		hook := "#!/bin/sh\n: > " + filepath.Join(p.dir, "done") + "\n"
		if err := os.WriteFile(filepath.Join(p.dir, "hook"), []byte(hook), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (a *aria) update(ctx context.Context, b *bed, _ work, updated []byte, arrived func(int)) error {
	if err := os.WriteFile(filepath.Join(b.publisher.dir, modelName), updated, 0o600); err != nil {
		return err
	}
	a.version++
	url := fmt.Sprintf("http://%s:%s", b.publisher.Address(), trackerPort)
	path := fmt.Sprintf("/%d.torrent", a.version)
	a.tracker.offer(path, torrent(url+"/announce", modelName, updated))
	args := []string{
		"--dir=.", "--follow-torrent=mem", "--seed-ratio=0.0", "--check-integrity=true", "--allow-overwrite=true", "--file-allocation=none",
		"--enable-dht=false", "--enable-peer-exchange=true", "--bt-enable-lpd=true", "--console-log-level=warn", "--summary-interval=0",
	}
	if _, err := a.launch(b.publisher, nil, "aria2c", append(args, url+path)...); err != nil {
		return err
	}
	if err := each(ctx, len(b.takers), len(b.takers), func(ctx context.Context, i int) error {
		p := b.takers[i]
		mark := filepath.Join(p.dir, "done")
		if err := os.Remove(mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		run, err := a.launch(p, nil, "aria2c", append(args, "--on-bt-download-complete="+filepath.Join(p.dir, "hook"), url+path)...)
		if err != nil {
			return err
		}
		for {
			if _, err := os.Stat(mark); err == nil {
				arrived(i)
				return nil
			}
			select {
			case <-run.done:
				return fmt.Errorf("%s ended: %s", run.what, run.cmd.ProcessState)
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pollInterval):
			}
		}
	}); err != nil {
		return err
	}
	return sameEverywhere(b, updated)
}

func (a *aria) stop() error {
	a.processes.stop()
	if a.tracker == nil {
		return nil
	}
	return a.tracker.Close()
}
