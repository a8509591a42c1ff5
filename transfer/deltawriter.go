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
	manifest.Cutter
	ctx  context.Context //nolint:containedctx // of the decoding that writes
	r    *deltaRun
	held manifest.Ranges
	hash hash.Hash
}

func newDeltaWriter(ctx context.Context, r *deltaRun, held manifest.Ranges) *deltaWriter {
	w := &deltaWriter{ctx: ctx, r: r, held: held, hash: sha256.New()}
	w.Cutter = manifest.Cutter{
		Chunks: r.chunks, Put: w.put,
		Past: fmt.Errorf("%w: delta yields more than %d bytes", ErrCorrupt, r.job.File.Size),
	}
	return w
}

// Write implements io.Writer. Once it has failed it fails.
func (w *deltaWriter) Write(p []byte) (int, error) {
	w.hash.Write(p)
	return w.Cutter.Write(p)
}

// put stores the chunk, unless it is held. The store compares its digest.
func (w *deltaWriter) put(i int, chunk []byte) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if w.held.Contains(i) {
		return nil
	}
	r := w.r
	if err := r.t.cfg.Store.PutChunk(w.ctx, r.id, i, chunk); err != nil {
		switch {
		case w.ctx.Err() != nil:
			return context.Cause(w.ctx)
		case errors.Is(err, manifest.ErrContent):
			return fmt.Errorf("%w: delta yields chunk %d of %s with another digest", ErrCorrupt, i, r.id)
		}
		return &storeError{fmt.Errorf("chunk %d of %s: %w", i, r.id, err)}
	}
	r.t.totals.chunksIn.Add(1)
	r.stored.Add(uint64(len(chunk)))
	r.t.hub.changed(r.id)
	return nil
}

// finish checks that the file is whole: chunks that were held were not compared
// one by one.
func (w *deltaWriter) finish() error {
	if n, whole := w.Cut(); !whole {
		return fmt.Errorf("%w: delta yields %d chunks of %d", ErrCorrupt, n, w.Chunks.Len())
	}
	if manifest.Digest(w.hash.Sum(nil)) != w.r.job.File.SHA256 {
		return fmt.Errorf("%w: delta yields a file with another digest", ErrCorrupt)
	}
	return nil
}
