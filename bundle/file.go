package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// ChunkStore is where the chunks of files go. Their release has been begun.
type ChunkStore interface {
	// Block returns a structured block, compared with its CID.
	Block(manifest.CID) ([]byte, error)
	// Held returns the chunks of a file that are there.
	Held(manifest.FileID) (manifest.Ranges, error)
	// PutChunk stores a chunk after it has compared it with its digest; the
	// error wraps manifest.ErrContent if it has another one.
	PutChunk(ctx context.Context, id manifest.FileID, i int, data []byte) error
}

// Decoder makes files from deltas.
type Decoder interface {
	// Decode reads the delta, against f.Delta.Basis, from in and writes the file
	// to out in order. An error that wraps ErrMalformed blames the delta, one
	// that wraps ErrLacks says that the basis is not here.
	Decode(ctx context.Context, f File, in io.Reader, out io.Writer) error
}

// FileReport says what became of one file.
type FileReport struct {
	Chunks int    // stored
	Bytes  uint64 // of those chunks
	Held   int    // chunks that were there before
}

// File brings file k of release i into store, whatever of it is missing there.
// progress, if not nil, is called now and then. With an error that wraps
// ErrLacks the file was gone over, and the reading may go on with the next one.
// Other errors: ErrMalformed, the store's, the decoder's.
func (r *Reader) File(ctx context.Context, i, k int, store ChunkStore, d Decoder, progress func()) (FileReport, error) {
	f := r.root.Releases[i].Files[k]
	if f.Chunks == nil && f.Delta == nil {
		return FileReport{}, nil
	}
	what, err := describe(f.ID, f.Size, store.Block)
	if err != nil {
		return FileReport{}, formed(err)
	}
	held, err := store.Held(f.ID)
	if err != nil {
		return FileReport{}, err
	}
	in := &intake{r: r, f: f, what: what, held: held, store: store, progress: progress}
	if f.Delta != nil {
		err = in.byDelta(ctx, d)
	} else {
		err = in.byChunks(ctx)
	}
	return in.report, err
}

// intake is the coming of one file.
type intake struct {
	r        *Reader
	f        File
	what     chunked
	held     manifest.Ranges
	store    ChunkStore
	progress func()
	report   FileReport
}

func (in *intake) told() {
	if in.progress != nil {
		in.progress()
	}
}

// byChunks reads the sections of chunks:
//
//	for each chunk in the ranges whose bytes have not come before:
//	    the section that comes next is this chunk, or the bundle is malformed
//	    it and all chunks with the same bytes are held:  go over the section
//	    otherwise:  read it, compare it, store it wherever it is missing
func (in *intake) byChunks(ctx context.Context) error {
	c := in.f.Chunks
	if c.Ranges.End() > in.what.chunks.Len() {
		return malformed("file %s has %d chunks, it brings the one before %d", in.f.ID, in.what.chunks.Len(), c.Ranges.End())
	}
	t := findTwins(in.what.digests, c.Ranges)
	sections := 0
	for i := range c.Ranges.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if t.repeats(i) {
			continue
		}
		if sections++; sections > int(c.Blocks) {
			return malformed("file %s has more chunks than the %d that it is to bring", in.f.ID, c.Blocks)
		}
		if err := in.chunk(ctx, i, t.of(i)); err != nil {
			return err
		}
		in.told()
	}
	if sections != int(c.Blocks) {
		return malformed("file %s has %d chunks where %d are to come", in.f.ID, sections, c.Blocks)
	}
	return nil
}

// chunk takes the section of chunk i, which is also that of its twins.
func (in *intake) chunk(ctx context.Context, i int, twins []uint32) error {
	_, length := in.what.chunks.At(i)
	n, err := in.r.s.want(in.what.digests[i].CID(manifest.Raw), length)
	if err != nil {
		return err
	}
	if n != length {
		return malformed("chunk %d of %s has %d bytes, want %d", i, in.f.ID, n, length)
	}
	missing := make([]int, 0, 1)
	for _, j := range append([]uint32{uint32(i)}, twins...) {
		if in.held.Contains(int(j)) {
			in.report.Held++
		} else {
			missing = append(missing, int(j))
		}
	}
	if len(missing) == 0 {
		return in.r.s.skip()
	}
	if in.r.buf, err = in.r.s.take(in.r.buf); err != nil {
		return err
	}
	for _, j := range missing {
		if err := in.put(ctx, j, in.r.buf); err != nil {
			return err
		}
	}
	return nil
}

// put stores a chunk that is missing.
func (in *intake) put(ctx context.Context, i int, data []byte) error {
	err := in.store.PutChunk(ctx, in.f.ID, i, data)
	if errors.Is(err, manifest.ErrContent) {
		return malformed("chunk %d of %s: %v", i, in.f.ID, err)
	}
	if err == nil {
		in.report.Chunks++
		in.report.Bytes += uint64(len(data))
	}
	return err
}

// byDelta has the pieces decoded while they are read.
func (in *intake) byDelta(ctx context.Context, d Decoder) error {
	p := &pieceReader{r: in.r, pieces: in.f.Delta.Pieces}
	if in.held.Count() == in.what.chunks.Len() {
		in.report.Held += in.what.chunks.Len()
		_, err := p.skip()
		return err
	}
	w := newChunkWriter(ctx, in)
	err := d.Decode(ctx, in.f, p, w)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case p.failed() != nil:
		return p.failed()
	case w.Err() != nil:
		return w.Err()
	case errors.Is(err, ErrLacks):
		_, skipErr := p.skip()
		return errors.Join(err, skipErr)
	case err != nil:
		return err
	}
	left, err := p.skip()
	if err == nil && left > 0 {
		err = malformed("the delta of %s ends %d pieces early", in.f.ID, left)
	}
	if err == nil {
		err = w.finish()
	}
	return err
}

// chunkWriter takes a file in order, cuts it into chunks and stores those that
// are missing. Its first error stays.
type chunkWriter struct {
	manifest.Cutter
	ctx context.Context //nolint:containedctx // of the decoding that writes
	in  *intake
}

func newChunkWriter(ctx context.Context, in *intake) *chunkWriter {
	w := &chunkWriter{ctx: ctx, in: in}
	w.Cutter = manifest.Cutter{
		Chunks: in.what.chunks, Put: w.put,
		Past: malformed("the delta of %s makes more than its %d bytes", in.f.ID, in.f.Size),
	}
	return w
}

func (w *chunkWriter) put(i int, chunk []byte) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if w.in.held.Contains(i) {
		w.in.report.Held++
		if manifest.SumDigest(chunk) != w.in.what.digests[i] {
			return malformed("the delta of %s makes another chunk %d", w.in.f.ID, i)
		}
	} else if err := w.in.put(w.ctx, i, chunk); err != nil {
		return err
	}
	w.in.told()
	return nil
}

// finish checks that the file is whole.
func (w *chunkWriter) finish() error {
	if n, whole := w.Cut(); !whole {
		return malformed("the delta of %s makes %d of its %d chunks", w.in.f.ID, n, w.Chunks.Len())
	}
	return nil
}

// Missing returns how many bytes of the file k of release i the store does not
// hold. The error is the store's.
func (r *Reader) Missing(i, k int, store ChunkStore) (uint64, error) {
	f := r.root.Releases[i].Files[k]
	what, err := describe(f.ID, f.Size, store.Block)
	if err != nil {
		return 0, fmt.Errorf("file %s: %w", f.ID, err)
	}
	held, err := store.Held(f.ID)
	if err != nil {
		return 0, err
	}
	return what.chunks.Bytes(manifest.NewRanges(0, what.chunks.Len()).Minus(held)), nil
}
