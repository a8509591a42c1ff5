package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	maxFetchSessions = 16 // peers asked at once for one release
	progressEvery    = 100 * time.Millisecond
)

// Job is one release to be fetched.
type Job struct {
	// Release is the CID of the manifest, for peers, logs and errors; required.
	Release manifest.CID
	// Files are those to be completed; their layout and digest blocks must be
	// in the store ([Transfer.Trees]) and the store must be ready to take their
	// chunks (store.Begin).
	Files []manifest.File
	// Errand says when peers outside of the site may be asked; nil for always.
	Errand Errand
	// Inside says that peers outside are not to be asked at all. Fetch then ends
	// with ErrTurn once no peer inside holds or awaits anything that is missing
	// and the errand says that it is this node's turn, and with ErrSlow if peers
	// inside deliver slowly.
	Inside bool
	// Lead says that the turn is not enough: see [Turn.Leads].
	Lead bool
	// Progress, if set, is called at most ten times a second and once at the
	// end, from one goroutine at a time. It must not block.
	Progress func(Progress)
}

// Fetch gets all chunks of job that the store does not hold, from all connected
// peers that hold some, and flushes the store. Peers may come and go: it waits
// for them, and before that for Run to begin. It returns when all is stored,
// when ctx has ended (with its cause), or with ErrStore, ErrManifest, ErrStopped
// or, if job.Inside, ErrTurn or ErrSlow.
func (t *Transfer) Fetch(ctx context.Context, job Job) error {
	if !job.Release.Defined() {
		return fmt.Errorf("fetch: %w: no release", ErrConfig)
	}
	ctx, end, err := t.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	for files := range slices.Chunk(job.Files, maxFiles) {
		if err := t.fetch(ctx, job, files); err != nil {
			return fmt.Errorf("fetch %s: %w", job.Release, err)
		}
	}
	return nil
}

// fetch is Fetch for as many files as fit a session.
func (t *Transfer) fetch(ctx context.Context, job Job, files []manifest.File) error {
	p, err := t.plan(files)
	if err != nil {
		return err
	}
	job.Errand = orAlone(job.Errand)
	if p.left > 0 {
		if err := t.gather(ctx, job, p); err != nil {
			return err
		}
	}
	if err := t.cfg.Store.Flush(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &storeError{err}
	}
	for _, f := range p.files {
		t.hub.changed(f.id)
	}
	if job.Progress != nil {
		job.Progress(p.snapshot())
	}
	return nil
}

// plan reads what is missing.
func (t *Transfer) plan(files []manifest.File) (*plan, error) {
	p := newPlan(t.memory.fetching)
	p.self, p.stall = t.cfg.Host.ID(), t.cfg.Link.pace().stall
	seen := map[manifest.FileID]bool{}
	for _, f := range files {
		if seen[f.ID()] {
			continue
		}
		seen[f.ID()] = true
		c, err := t.layouts.get(f.Layout)
		if err != nil {
			return nil, fmt.Errorf("file %q: %w", f.Path, manifestError(err))
		}
		if c.layout.Size != f.Size {
			return nil, fmt.Errorf("file %q: %w: layout of %d bytes for a file of %d", f.Path, ErrManifest, c.layout.Size, f.Size)
		}
		held, err := t.cfg.Store.Held(f.ID())
		if err != nil {
			return nil, fmt.Errorf("file %q: %w", f.Path, &storeError{err})
		}
		if len(manifest.NewRanges(0, c.chunks.Len()).Minus(held)) == 0 {
			continue
		}
		p.add(planFile{id: f.ID(), chunks: c.chunks}, held)
	}
	p.ready()
	return p, nil
}

// manifestError says whether a block is bad or merely not there.
func manifestError(err error) error {
	if errors.Is(err, manifest.ErrFormat) {
		return fmt.Errorf("%w: %w", ErrManifest, err)
	}
	return &storeError{err}
}

// gather runs sessions at peers until nothing is missing.
func (t *Transfer) gather(ctx context.Context, job Job, p *plan) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	scout := newScout(t, ProtocolID, Use{job.Release, UseChunks})
	defer scout.close()
	defer t.planned(p)()
	begun := time.Now()
	p.settled = begun
	if len(t.outsiders()) > 1 {
		p.settled = begun.Add(t.cfg.Link.settle())
	}
	turn, turned := job.Errand.Turn()
	p.turns(turn)
	scout.allow(func(id peer.ID) bool { return t.near(id) || !job.Inside && turn.Outside })
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer stop(nil)

	var mu sync.Mutex
	inUse := map[peer.ID]bool{}
	run := func(id peer.ID) {
		link, err := p.ask(ctx, t, id, job)
		if _, fatal := errors.AsType[*storeError](err); fatal {
			stop(err)
		}
		if ctx.Err() == nil {
			t.cfg.Logger.Debug("transfer session ended", slog.Any("peer", id), slog.Any("release", job.Release), slog.Any("error", err))
		}
		mu.Lock()
		delete(inUse, id)
		mu.Unlock()
		scout.ended(id, err, link)
	}
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	var reported Progress
	for {
		if job.Inside {
			if err := p.hopeless(t, turn.Outside && (!job.Lead || turn.Leads(p.self, job.Release)), begun); err != nil {
				return err
			}
		}
		ready, again := scout.ready(func(id peer.ID) bool {
			mu.Lock()
			defer mu.Unlock()
			return inUse[id]
		})
		mu.Lock()
		for _, id := range ready[:min(len(ready), maxFetchSessions-len(inUse))] {
			inUse[id] = true
			sessions.Go(func() { run(id) })
		}
		full := len(inUse) >= maxFetchSessions
		mu.Unlock()
		if full && len(ready) > 0 {
			p.retire()
		}
		for waiting := true; waiting; {
			select {
			case <-p.done:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-scout.wake:
				waiting = false
			case <-turned:
				turn, turned = job.Errand.Turn()
				p.turns(turn)
				waiting = false
			case now := <-ticker.C:
				if s := p.snapshot(); job.Progress != nil && s != reported {
					job.Progress(s)
					reported = s
				}
				job.Errand.Came(p.outside())
				waiting = !job.Inside && (again.IsZero() || now.Before(again))
			}
		}
	}
}
