package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// holdings is what the destination has of a model.
type holdings struct {
	files  map[manifest.FileID]bool
	order  []manifest.FileID // the same, of its newest release first
	blocks map[manifest.CID]bool
	chunks map[manifest.Digest]bool
}

// holdings works out what the destination has of a model, as far as the blocks
// that tell are here: 32 bytes and a map's entry for each of its chunks.
func (e *exporter) holdings(m manifest.Model) (*holdings, error) {
	h := &holdings{
		files: make(map[manifest.FileID]bool), blocks: make(map[manifest.CID]bool), chunks: make(map[manifest.Digest]bool),
	}
	held := e.c.State.Of(m)
	for i := range held {
		rel := held[len(held)-1-i] // in order of sequence
		h.blocks[rel.Manifest] = true
		for _, f := range rel.Files {
			if h.files[f.FileID] {
				continue
			}
			h.files[f.FileID] = true
			h.order = append(h.order, f.FileID)
			if err := e.learn(h, f); err != nil {
				return nil, err
			}
		}
	}
	return h, nil
}

// learn adds what a file that the destination holds consists of. Nothing, where
// its blocks are not here or do not fit what is claimed: that costs bytes, no
// more.
func (e *exporter) learn(h *holdings, f HeldFile) error {
	var found []manifest.CID
	w := newWalker(func(c manifest.CID) ([]byte, error) {
		found = append(found, c)
		return e.c.Source.Block(c)
	})
	if w.file(f.FileID, f.Size) != nil {
		return nil
	}
	what, err := describe(f.FileID, f.Size, e.c.Source.Block)
	if err != nil {
		return err
	}
	for _, c := range found {
		h.blocks[c] = true
	}
	for _, d := range what.digests {
		h.chunks[d] = true
	}
	return nil
}

// lacks returns the chunks of a file whose bytes the destination has nowhere. A
// set of many spans is filled up until it has few.
func (h *holdings) lacks(what chunked) manifest.Ranges {
	var missing manifest.Ranges
	for i, d := range what.digests {
		if h.chunks[d] {
			continue
		}
		if n := len(missing); n > 0 && int(missing[n-1].To) == i {
			missing[n-1].To++
			continue
		}
		missing = append(missing, manifest.Span{From: uint32(i), To: uint32(i) + 1})
	}
	for gap := uint32(1); len(missing) > maxSpans; gap *= 2 {
		fewer := missing[:1]
		for _, s := range missing[1:] {
			if last := &fewer[len(fewer)-1]; s.From-last.To <= gap {
				last.To = s.To
			} else {
				fewer = append(fewer, s)
			}
		}
		missing = fewer
	}
	return missing
}

// errWorse says that a delta has grown larger than what it is to replace.
var errWorse = errors.New("delta is no smaller")

// makeDelta codes a delta and puts it behind those that were made before; nil if
// it would have most bytes or more.
func (e *exporter) makeDelta(ctx context.Context, f manifest.File, basis manifest.FileID, most uint64) (*Delta, error) {
	if e.spool == nil {
		var err error
		if e.spool, err = unnamed(e.c.Temp); err != nil {
			return nil, err
		}
	}
	w := &spooler{file: e.spool, at: e.spooled, most: most}
	err := e.c.Encoder.Encode(ctx, basis, f.ID(), w, func(done, total int64) {
		e.told("making a delta of "+f.Path, uint64(done), uint64(total))
	})
	if w.worse {
		return nil, nil
	}
	if err == nil {
		err = w.cut()
	}
	if err != nil {
		return nil, fmt.Errorf("delta against %s: %w", basis, err)
	}
	e.spooled += int64(w.pieces.Bytes)
	return &Delta{Basis: basis, Format: e.c.Encoder.Format(), Pieces: w.pieces}, nil
}

// unnamed makes a file that is gone once it is closed, by a crash too; where a
// system does not remove open files it stays until somebody clears the folder.
func unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "delta-")
	if err != nil {
		return nil, fmt.Errorf("spool delta: %w", err)
	}
	_ = os.Remove(f.Name())
	return f, nil
}

// spooler writes a delta and finds the CIDs of its pieces.
type spooler struct {
	file   io.WriterAt
	at     int64 // where the delta begins
	most   uint64
	pieces Pieces
	piece  []byte
	worse  bool
}

// Write implements io.Writer.
func (w *spooler) Write(p []byte) (int, error) {
	if w.pieces.Bytes+uint64(len(p)) >= w.most {
		w.worse = true
		return 0, errWorse
	}
	n, err := w.file.WriteAt(p, w.at+int64(w.pieces.Bytes))
	w.pieces.Bytes += uint64(n)
	for rest := p[:n]; len(rest) > 0; {
		take := min(MaxPieceBytes-len(w.piece), len(rest))
		w.piece, rest = append(w.piece, rest[:take]...), rest[take:]
		if len(w.piece) == MaxPieceBytes {
			w.next()
		}
	}
	return n, err
}

func (w *spooler) next() {
	w.pieces.Blocks = append(w.pieces.Blocks, manifest.SumCID(manifest.Raw, w.piece))
	w.piece = w.piece[:0]
}

// cut ends the last piece.
func (w *spooler) cut() error {
	if len(w.piece) > 0 {
		w.next()
	}
	if w.pieces.Bytes == 0 {
		return errors.New("an empty delta")
	}
	return nil
}
