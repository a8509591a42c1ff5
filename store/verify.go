package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Verify reads the variant's files whole and compares their sha256 with the
// manifest: the gate before anything is loaded. If a file differs its rotten
// chunks are found, marked missing and told to OnCorrupt. progress, which may
// be nil, gets the bytes read since the last call. Errors: ErrNotHeld if
// chunks are missing; ErrCorrupt if some rotted, which can be fetched again;
// ErrMismatch if every chunk has its digest and the file still has another
// sha256: then the manifest contradicts itself and the release is of no use.
func (s *Store) Verify(ctx context.Context, m manifest.CID, variant string, progress func(bytes int64)) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	defer s.hold(m)()
	rec, targets, err := s.known(m, variant)
	if err != nil {
		return err
	}
	s.use(m)
	for _, t := range targets {
		if err := s.verifyFile(ctx, m, t, progress); err != nil {
			return fmt.Errorf("store: verify %s: %s: %w", rec.Release, path.Join(t.variant, t.file.Path), err)
		}
	}
	return nil
}

func (s *Store) verifyFile(ctx context.Context, m manifest.CID, t target, progress func(int64)) error {
	id, _, err := s.copyOf(m, t.variant, t.file.Path)
	if errors.Is(err, errNoKey) {
		return ErrNotHeld
	}
	if err != nil {
		return err
	}
	f, err := s.file(t.file.ID())
	if err != nil {
		return err
	}
	defer s.drop(f)
	for _, c := range f.snapshot() {
		if c.id != id {
			continue
		}
		c.mu.Lock()
		missing := f.chunks.Len() - int(c.count.chunks)
		c.mu.Unlock()
		if missing > 0 {
			return fmt.Errorf("%d of %d chunks: %w", missing, f.chunks.Len(), ErrNotHeld)
		}
		ok, err := s.sumCopy(ctx, c, t.file, progress)
		if err != nil || ok {
			return err
		}
		rot, err := s.checkCopy(ctx, f, c, nil)
		switch {
		case err != nil:
			return err
		case rot.rotten > 0:
			return fmt.Errorf("%d of %d chunks: %w", rot.rotten, rot.chunks, ErrCorrupt)
		}
		if ok, err := s.sumCopy(ctx, c, t.file, nil); err != nil || ok {
			return err // it was written to between the two looks
		}
		return fmt.Errorf("sha256 is not %s though every chunk is right: %w", t.file.SHA256, ErrMismatch)
	}
	return ErrNotHeld
}

// sumCopy says whether the whole file has the length and sha256 that it should.
// What cannot be read counts as not.
func (s *Store) sumCopy(ctx context.Context, c *fileCopy, want manifest.File, progress func(int64)) (bool, error) {
	same := false
	err := s.useCopy(c, false, func(file *os.File) error {
		info, err := file.Stat()
		if err != nil || uint64(info.Size()) != want.Size {
			return err
		}
		sum, buf := sha256.New(), make([]byte, bufferSize)
		for at := int64(0); at < info.Size(); {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := file.ReadAt(buf, at)
			if n == 0 && err != nil {
				return err
			}
			sum.Write(buf[:n])
			at += int64(n)
			if progress != nil {
				progress(int64(n))
			}
		}
		same = manifest.Digest(sum.Sum(nil)) == want.SHA256
		return nil
	})
	if errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || rotten(err) {
		return false, nil
	}
	return same, err
}

// found is what checkCopy saw.
type found struct {
	chunks, rotten int
	bytes          int64
}

// checkCopy reads every held chunk of a copy, compares, and marks what rotted.
func (s *Store) checkCopy(ctx context.Context, f *file, c *fileCopy, progress func(int64)) (out found, err error) {
	buf := make([]byte, manifest.MaxChunkBytes)
	for i := range f.chunks.Len() {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if !c.has(i) {
			continue
		}
		data, err := s.readChunk(f, c, i, buf)
		if errors.Is(err, ErrNotHeld) {
			continue // removed meanwhile
		}
		_, n := f.chunks.At(i)
		out.chunks++
		out.bytes += int64(len(data))
		switch {
		case errors.Is(err, ErrCorrupt):
			out.rotten++
			if err := s.markMissing(f, c, i, err); err != nil {
				return out, err
			}
		case err != nil:
			return out, err
		}
		if progress != nil {
			progress(int64(n))
		}
	}
	return out, nil
}
