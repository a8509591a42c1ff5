package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// deltaWriter takes a file in order, cuts it into chunks and stores those that
// are missing. One goroutine uses it.
type deltaWriter struct {
	ctx   context.Context //nolint:containedctx // of the decoding that writes
	r     *deltaRun
	held  manifest.Ranges
	hash  hash.Hash
	next  int    // chunk that is being filled
	chunk []byte // what came of it
	err   error  // the first
}

func newDeltaWriter(ctx context.Context, r *deltaRun, held manifest.Ranges) *deltaWriter {
	return &deltaWriter{ctx: ctx, r: r, held: held, hash: sha256.New()}
}

// Write implements io.Writer. Once it has failed it fails.
func (w *deltaWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.hash.Write(p)
	for rest := p; len(rest) > 0; {
		if w.next >= w.r.chunks.Len() {
			w.err = fmt.Errorf("%w: delta yields more than %d bytes", ErrCorrupt, w.r.job.File.Size)
			return 0, w.err
		}
		_, length := w.r.chunks.At(w.next)
		n := min(length-len(w.chunk), len(rest))
		w.chunk, rest = append(w.chunk, rest[:n]...), rest[n:]
		if len(w.chunk) < length {
			break
		}
		if w.err = w.put(); w.err != nil {
			return 0, w.err
		}
		w.next, w.chunk = w.next+1, w.chunk[:0]
	}
	return len(p), nil
}

// put stores the chunk, unless it is held. The store compares its digest.
func (w *deltaWriter) put() error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if w.held.Contains(w.next) {
		return nil
	}
	r := w.r
	if err := r.t.cfg.Store.PutChunk(w.ctx, r.id, w.next, w.chunk); err != nil {
		switch {
		case w.ctx.Err() != nil:
			return context.Cause(w.ctx)
		case errors.Is(err, manifest.ErrContent):
			return fmt.Errorf("%w: delta yields chunk %d of %s with another digest", ErrCorrupt, w.next, r.id)
		}
		return &storeError{fmt.Errorf("chunk %d of %s: %w", w.next, r.id, err)}
	}
	r.t.totals.chunksIn.Add(1)
	r.stored.Add(uint64(len(w.chunk)))
	r.t.hub.changed(r.id)
	return nil
}

// finish checks that the file is whole: chunks that were held were not compared
// one by one.
func (w *deltaWriter) finish() error {
	if w.next != w.r.chunks.Len() || len(w.chunk) > 0 {
		return fmt.Errorf("%w: delta yields %d chunks of %d", ErrCorrupt, w.next, w.r.chunks.Len())
	}
	if manifest.Digest(w.hash.Sum(nil)) != w.r.job.File.SHA256 {
		return fmt.Errorf("%w: delta yields a file with another digest", ErrCorrupt)
	}
	return nil
}
