package transfer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// DeltaJob is one file to be made from others by a delta.
type DeltaJob struct {
	// Release is the CID of the manifest, for logs and errors.
	Release manifest.CID
	// File is what is wanted; its layout and digest blocks must be in the store
	// ([Transfer.Trees]), which must be ready to take its chunks.
	File manifest.File
	// Bases are files that are held whole, the one first that is likely to give
	// the smallest delta; 1 to [MaxBases].
	Bases []manifest.FileID
	// Patience is how long to wait for peers that are fetching the file
	// themselves while no more of it comes there; several minutes, since they
	// say so once a minute. Default 10 min.
	Patience time.Duration
	// Errand says when peers outside of the site may be asked; nil for always.
	// Only one of those whose turn it is asks for a delta: see [Turn.Leads].
	Errand Errand
	// Outside says that peers of this site are not to be asked.
	Outside bool
	// Progress, if set, is called as [Job.Progress] is.
	Progress func(Progress)
}

// DeltaResult says by what delta a file came.
type DeltaResult struct {
	Basis    manifest.FileID
	Effort   codec.Effort
	Bytes    uint64 // of the delta
	Received uint64 // of those, by this call
}

// DeltaReason says why a file does not come by a delta.
type DeltaReason string

// The reasons. All of them mean: fetch the chunks that are still missing.
const (
	DeltaNoBasis     DeltaReason = "no peer holds both versions"
	DeltaWorse       DeltaReason = "a delta is no smaller"
	DeltaMostHere    DeltaReason = "most of it is here already"
	DeltaPlainFaster DeltaReason = "the link is faster than coding a delta"
	DeltaUnsupported DeltaReason = "no peer makes deltas of this format"
	DeltaNobodyReady DeltaReason = "no peer had it in time"
	DeltaFailed      DeltaReason = "deltas failed"
	DeltaNoRoom      DeltaReason = "no room to keep the delta"
)

// NoDeltaError says why [Transfer.Delta] did not complete a file.
type NoDeltaError struct {
	Reason DeltaReason
	Err    error // what lies behind it; may be nil
}

func (e *NoDeltaError) Error() string {
	if e.Err == nil {
		return "no delta: " + string(e.Reason)
	}
	return fmt.Sprintf("no delta: %s: %v", e.Reason, e.Err)
}

// Unwrap returns what lies behind it.
func (e *NoDeltaError) Unwrap() error { return e.Err }

// Delta completes one file by a delta against one of the bases, from whichever
// connected peer has that delta or can make it, and flushes the store. What
// arrives is kept: cut off, or called again after a crash, it goes on from
// there. It waits for peers as Fetch does. Errors: a *[NoDeltaError] if the
// rest is to be fetched in chunks; ErrTurn if it asks outside only and it is not
// this node's turn, or no longer; and as Fetch returns.
func (t *Transfer) Delta(ctx context.Context, job DeltaJob) (DeltaResult, error) {
	if t.deltas == nil || len(job.Bases) == 0 || len(job.Bases) > MaxBases {
		return DeltaResult{}, fmt.Errorf("delta: %w: %d bases, 1 to %d, of a transfer that is set up for deltas", ErrConfig, len(job.Bases), MaxBases)
	}
	ctx, end, err := t.begin(ctx)
	if err != nil {
		return DeltaResult{}, err
	}
	defer end()
	job.Errand = orAlone(job.Errand)
	if job.Patience == 0 {
		job.Patience = 10 * time.Minute
	}
	result, err := t.delta(ctx, job)
	if err != nil {
		err = fmt.Errorf("delta of %q: %w", job.File.Path, err)
	}
	return result, err
}

// deltaRun is one call of Delta. One goroutine uses it, but for what is said.
type deltaRun struct {
	t       *Transfer
	job     DeltaJob
	id      manifest.FileID
	chunks  manifest.Chunks
	scout   *scout
	result  DeltaResult
	failed  int                   // deltas that came to nothing, in a row
	since   time.Time             // when the first peer answered, or more had come to one
	wanted  uint64                // bytes missing at first
	stored  atomic.Uint64         // of those
	frames  atomic.Uint64         // bytes of deltas received
	refused map[peer.ID]deltaCode // after they had offered
	turn    Turn
	turned  <-chan struct{} // closed when turn may have changed
	direct  bool            // peers are asked to give it themselves

	rates    map[peer.ID]float64 // bytes a second, measured in this run
	burst    int                 // bytes since burstAt without waiting for the server's coder
	burstAt  time.Time           // of the goroutine that receives
	reported Progress            // one goroutine at a time
}

const maxDeltaFailures = 3 // in a row, before the file goes plain

func (t *Transfer) delta(ctx context.Context, job DeltaJob) (DeltaResult, error) {
	c, err := t.layouts.get(job.File.Layout)
	if err != nil {
		return DeltaResult{}, manifestError(err)
	}
	r := &deltaRun{t: t, job: job, id: job.File.ID(), chunks: c.chunks, scout: newScout(t, DeltaProtocolID, Use{job.Release, UseDelta}), rates: map[peer.ID]float64{}}
	defer r.scout.close()
	r.scout.allow(r.may)
	if c.chunks.Len() > maxDeltaChunks {
		return DeltaResult{}, &NoDeltaError{Reason: DeltaNoRoom, Err: fmt.Errorf("file of %d chunks, at most %d", c.chunks.Len(), maxDeltaChunks)}
	}
	if r.wanted, err = r.missing(); err != nil {
		return DeltaResult{}, err
	}
	if _, _, begun := r.part(); !begun {
		if foreign, err := r.foreign(); err != nil || foreign > r.wanted {
			return DeltaResult{}, errors.Join(err, &NoDeltaError{Reason: DeltaMostHere})
		}
	}
	for {
		missing, err := r.missing()
		if err != nil || missing == 0 {
			r.report(0, 0)
			return r.result, err
		}
		if err := r.look(); err != nil {
			return r.result, err
		}
		err = r.local(ctx)
		if err == nil {
			continue
		}
		if !errors.Is(err, errNoLocal) {
			return r.result, err
		}
		if err := r.round(ctx, missing); err != nil {
			return r.result, err
		}
	}
}

// missing returns the bytes of the chunks that are not held.
func (r *deltaRun) missing() (uint64, error) {
	held, err := r.t.cfg.Store.Held(r.id)
	if err != nil {
		return 0, &storeError{err}
	}
	return r.chunks.Bytes(manifest.NewRanges(0, r.chunks.Len()).Minus(held)), nil
}

// foreign returns the bytes of chunks that are held and that no basis has: a
// delta would bring them again.
func (r *deltaRun) foreign() (uint64, error) {
	held, err := r.t.cfg.Store.Held(r.id)
	if err != nil {
		return 0, &storeError{err}
	}
	if len(held) == 0 {
		return 0, nil
	}
	known := map[manifest.Digest]bool{}
	for _, basis := range r.job.Bases {
		c, err := r.t.layouts.get(basis.Layout)
		if err != nil || c.chunks.Len() > maxDeltaChunks {
			continue // it will be no basis either
		}
		digests, err := manifest.LoadDigests(basis.Digests, c.chunks.Len(), r.t.cfg.Store.Block)
		if err != nil {
			continue
		}
		for _, d := range digests {
			known[d] = true
		}
	}
	digests, err := manifest.LoadDigests(r.id.Digests, r.chunks.Len(), r.t.cfg.Store.Block)
	if err != nil {
		return 0, manifestError(err)
	}
	var bytes uint64
	for i := range held.All() {
		if i < len(digests) && !known[digests[i]] {
			_, n := r.chunks.At(i)
			bytes += uint64(n)
		}
	}
	return bytes, nil
}

// errNoLocal says that no complete delta lies in the own cache.
var errNoLocal = errors.New("no delta in the cache")

// local uses a complete delta that is here already.
func (r *deltaRun) local(ctx context.Context) error {
	for _, basis := range r.job.Bases {
		for _, e := range []codec.Effort{codec.Strong, codec.Fast} {
			k := r.t.deltas.key(r.id, basis, e)
			g := r.t.deltas.cache.whole(k)
			if g == nil {
				continue
			}
			err := r.decode(ctx, k, g)
			g.release()
			if err == nil {
				bytes := g.size()
				r.result.Basis, r.result.Effort, r.result.Bytes = basis, e, uint64(bytes)
				return nil
			}
			if errors.Is(err, ErrCorrupt) { // it decoded once: something here changed
				if err := r.t.deltas.cache.forget(k); err != nil {
					return &NoDeltaError{Reason: DeltaFailed, Err: err}
				}
				continue
			}
			return err
		}
	}
	return errNoLocal
}

// part finds what is here of a delta; nil if nothing.
func (r *deltaRun) part() (k deltaKey, basis int, ok bool) {
	for i, b := range r.job.Bases {
		for _, e := range []codec.Effort{codec.Strong, codec.Fast} {
			if k := r.t.deltas.key(r.id, b, e); r.t.deltas.cache.parted(k) {
				return k, i, true
			}
		}
	}
	return deltaKey{}, 0, false
}

// left returns about how many bytes are still missing.
func (r *deltaRun) left() uint64 { return r.wanted - min(r.stored.Load(), r.wanted) }

// tell reports ten times a second, as long as something changes, until ctx ends.
func (r *deltaRun) tell(ctx context.Context) {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.report(1, 1)
		case <-ctx.Done():
			return
		}
	}
}

// report tells how far it is, if that is news.
func (r *deltaRun) report(peers, holders int) {
	now := Progress{
		WantedBytes: r.wanted, StoredBytes: r.wanted - r.left(), FrameBytes: r.frames.Load(),
		Peers: peers, Holders: holders,
	}
	r.job.Errand.Came(r.frames.Load(), r.left())
	if r.job.Progress != nil && now != r.reported {
		r.reported = now
		r.job.Progress(now)
	}
}
