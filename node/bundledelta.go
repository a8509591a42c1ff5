package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/dunlin-mesh/dunlin/bundle"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// deltaMaker is package delta as bundles want it. A bundle is made once and
// driven far, so it tries hard.
type deltaMaker struct {
	n *Node
}

func (d *deltaMaker) coder() deltaCoder { return deltaCoder{filepath.Join(d.n.dir, bundlesName)} }

// Format implements bundle.Encoder.
func (*deltaMaker) Format() uint32 { return delta.FormatVersion }

// Bases implements bundle.Encoder: what both ends hold whole, in the order in
// which a peer would be asked for deltas against it.
func (d *deltaMaker) Bases(m manifest.Model, variant string, f manifest.File, there []manifest.FileID) []manifest.FileID {
	held, err := d.n.heldOf(m)
	if err != nil {
		return nil
	}
	held = slices.DeleteFunc(held, func(h heldFile) bool { return !slices.Contains(there, h.file.ID()) })
	return idsOf(basesFor(f, variant, held))
}

// Encode implements bundle.Encoder.
func (d *deltaMaker) Encode(ctx context.Context, basis, file manifest.FileID, out io.Writer, progress func(done, total int64)) (err error) {
	old, err := d.n.openChecked(ctx, basis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	next, err := d.n.openChecked(ctx, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, next.Close()) }()
	options := d.coder().options(codec.Strong, next.DType)
	options.Progress = progress
	_, err = delta.Encode(ctx, versionOf(old), versionOf(next), out, options)
	return err
}

// Decode implements bundle.Decoder.
func (d *deltaMaker) Decode(ctx context.Context, f bundle.File, in io.Reader, out io.Writer) (err error) {
	if f.Delta.Format != delta.FormatVersion {
		return fmt.Errorf("%w: it has deltas of format %d, this node reads %d", bundle.ErrLacks, f.Delta.Format, delta.FormatVersion)
	}
	old, err := d.n.openChecked(ctx, f.Delta.Basis)
	if errors.Is(err, store.ErrNotHeld) || errors.Is(err, manifest.ErrContent) {
		return fmt.Errorf("%w: a delta is against file %s: %w", bundle.ErrLacks, f.Delta.Basis, err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	options := d.coder().options(codec.Strong, "")
	options.NewSize = int64(f.Size)
	err = delta.Decode(ctx, versionOf(old), in, out, options)
	for _, theirs := range []error{delta.ErrDelta, delta.ErrBasis, delta.ErrResult, delta.ErrVersion} {
		if errors.Is(err, theirs) { // the basis was compared with its digests
			return fmt.Errorf("%w: %w", bundle.ErrMalformed, err)
		}
	}
	return err
}

// openChecked opens a file that is held whole and compares all of its chunks
// with their digests. A chunk that rotted is told to the store, and the error
// wraps manifest.ErrContent.
func (n *Node) openChecked(ctx context.Context, id manifest.FileID) (_ transfer.WholeFile, err error) {
	f, err := n.openWhole(ctx, id)
	if err != nil {
		return transfer.WholeFile{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	chunks, err := n.chunksOf(id.Layout)
	if err != nil {
		return transfer.WholeFile{}, err
	}
	digests, err := manifest.LoadDigests(id.Digests, chunks.Len(), n.store.Block)
	if err != nil {
		return transfer.WholeFile{}, err
	}
	buf := make([]byte, manifest.MaxChunkBytes)
	for i, want := range digests {
		if err := ctx.Err(); err != nil {
			return transfer.WholeFile{}, err
		}
		offset, length := chunks.At(i)
		if _, err := f.ReadAt(buf[:length], int64(offset)); err != nil && !errors.Is(err, io.EOF) {
			return transfer.WholeFile{}, fmt.Errorf("file %s: %w", id, err)
		}
		if manifest.SumDigest(buf[:length]) != want {
			_, err := n.store.Chunk(ctx, id, i, nil) // finds what rotted
			return transfer.WholeFile{}, fmt.Errorf("chunk %d of %s: %w", i, id, errors.Join(manifest.ErrContent, err))
		}
	}
	return f, nil
}
