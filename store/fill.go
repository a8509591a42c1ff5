package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// maxSources bounds how many places of one chunk are looked at.
const maxSources = 16

// findTwins finds, for files that are not here under their FileID, complete
// files in the store that have the same size and sha256 (cut at other places)
// and whose bytes have the digests that are asked for. Only then may they be
// one file on disk: a manifest that lies about its sha256 would otherwise write
// its chunks into another release.
func (s *Store) findTwins(ctx context.Context, targets []target) (map[manifest.FileID]uint64, error) {
	twins := make(map[manifest.FileID]uint64)
	for _, t := range targets {
		id := t.file.ID()
		if _, done := twins[id]; done {
			continue
		}
		if here, err := s.index.ids(filePrefix(id)); err != nil || len(here) > 0 {
			if err != nil {
				return nil, err
			}
			continue
		}
		others, err := s.index.ids(sumPrefix(t.file.SHA256, t.file.Size))
		if err != nil {
			return nil, err
		}
		for _, other := range others {
			same, err := s.sameBytes(ctx, t.file, other)
			if err != nil {
				return nil, err
			}
			if same {
				twins[id] = other
				break
			}
		}
	}
	return twins, nil
}

// sameBytes compares a complete copy in the store with the digests of a file.
func (s *Store) sameBytes(ctx context.Context, f manifest.File, number uint64) (bool, error) {
	var rec copyRecord
	if err := s.index.record(copyKey(keyCopy, number), &rec); err != nil {
		return false, ignore(err, errNoKey)
	}
	complete, err := s.completeCopy(number, &rec)
	if err != nil || !complete || rec.External != "" || len(rec.Names) == 0 {
		return false, err
	}
	chunks, digests, err := s.chunksOf(f.ID(), f.Size, s.readBlock)
	if err != nil {
		return false, err
	}
	src, err := s.dir.open(rec.Names[0], os.O_RDONLY)
	if err != nil {
		return false, ignore(err, fs.ErrNotExist)
	}
	same, buf := true, make([]byte, manifest.MaxChunkBytes)
	for i := 0; same && i < len(digests) && err == nil; i++ {
		offset, n := chunks.At(i)
		_, readErr := src.ReadAt(buf[:n], int64(offset))
		same = readErr == nil && manifest.SumDigest(buf[:n]) == digests[i]
		err = ctx.Err()
	}
	return same, errors.Join(err, src.Close())
}

// fillAll takes chunks for each target's file from elsewhere in the store.
func (s *Store) fillAll(ctx context.Context, targets []target) error {
	seen := make(map[manifest.FileID]bool)
	for _, t := range targets {
		if id := t.file.ID(); !seen[id] {
			seen[id] = true
			if err := s.fill(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill takes what the incomplete copies of a file can get on this machine.
func (s *Store) fill(ctx context.Context, id manifest.FileID) error {
	f, err := s.file(id)
	if err != nil {
		return err
	}
	defer s.drop(f)
	for _, c := range f.snapshot() {
		if c.external == "" {
			if err := s.fillCopy(ctx, f, c); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if f.chunks.Len() == 0 { // an empty file is complete as it is
		for _, c := range f.snapshot() {
			if c.external == "" {
				s.finishCopy(f, c)
			}
		}
	}
	return nil
}

// run is a stretch of chunks that lie elsewhere in the same order.
type run struct {
	source       uint64 // copy
	from, to     int    // chunks
	offset, size uint64 // in the copy that is being filled
	at           uint64 // in the source
}

// fillCopy gathers runs of missing chunks and copies each.
func (s *Store) fillCopy(ctx context.Context, f *file, c *fileCopy) error {
	var r run
	sources := heldCache{s: s, bits: make(map[uint64]bitmap)}
	for i := range f.chunks.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.hasOrPending(i) {
			continue
		}
		offset, n := f.chunks.At(i)
		source, at, err := s.findChunk(f, c, i, uint64(n), r, &sources)
		if err != nil {
			return err
		}
		if source == 0 {
			continue
		}
		if r.to == i && r.size > 0 && r.source == source && r.at+r.size == at && r.size < copyStepBytes && r.to-r.from < maxBatch {
			r.to, r.size = i+1, r.size+uint64(n)
			continue
		}
		if err := s.copyRun(f, c, r); err != nil {
			return err
		}
		r = run{source: source, from: i, to: i + 1, offset: offset, size: uint64(n), at: at}
	}
	return s.copyRun(f, c, r)
}

// heldCache answers which chunks of other copies are held, while one copy is
// being filled.
type heldCache struct {
	s    *Store
	bits map[uint64]bitmap // one segment, by copy<<24 | segment
}

func (h *heldCache) has(id uint64, chunk int) (bool, error) {
	at := id<<24 | uint64(chunk/segmentChunks)
	segment, ok := h.bits[at]
	if !ok {
		value, err := h.s.index.get(bitsKey(id, chunk/segmentChunks))
		if err = ignore(err, errNoKey); err != nil {
			return false, err
		}
		if segment = value; len(h.bits) < cachedFiles*64 {
			h.bits[at] = segment
		}
	}
	return len(segment) == segmentBytes && segment.has(chunk%segmentChunks), nil
}

// findChunk finds a copy that holds the bytes of chunk i, the one that goes on
// where run r ends if it can. Source 0 means none.
func (s *Store) findChunk(f *file, c *fileCopy, i int, n uint64, r run, held *heldCache) (source, at uint64, err error) {
	offset, _ := f.chunks.At(i)
	for _, other := range f.snapshot() { // the same file elsewhere
		if other != c && other.has(i) {
			return other.id, offset, nil
		}
	}
	seen := 0
	err = s.index.scan(digestPrefix(f.digests[i]), true, func(k, v []byte) error {
		if seen++; seen > maxSources {
			return errStop
		}
		if len(k) != 29 || lastID(k[:25]) == c.id {
			return nil
		}
		p, err := decodePlace(v)
		if err != nil || p.length != n {
			return nil // stale or damaged: it is only a hint
		}
		id, chunk := lastID(k[:25]), int(lastUint32(k))
		has, err := held.has(id, chunk)
		if err != nil || !has {
			return err
		}
		if source == 0 {
			source, at = id, p.offset
		}
		if id == r.source && p.offset == r.at+r.size {
			source, at = id, p.offset
			return errStop
		}
		return nil
	})
	return source, at, ignore(err, errStop)
}

var errStop = errors.New("found")

// copyRun copies a run into place, compares every chunk with its digest, and
// commits those that are right. A source that turns out bad is no error: the
// chunks stay missing.
func (s *Store) copyRun(f *file, c *fileCopy, r run) error {
	if r.size == 0 {
		return nil
	}
	src, err := s.openSource(r.source)
	if err != nil {
		return err
	}
	if src == nil {
		return nil
	}
	err = s.useCopy(c, true, func(dst *os.File) error {
		return copyRange(dst, src, int64(r.offset), int64(r.at), int64(r.size))
	})
	if err = errors.Join(err, src.Close()); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || rotten(err) {
			return nil
		}
		return full(err)
	}
	var good []put
	buf := make([]byte, manifest.MaxChunkBytes)
	for i := r.from; i < r.to; i++ {
		offset, n := f.chunks.At(i)
		err := s.useCopy(c, false, func(dst *os.File) error {
			_, err := dst.ReadAt(buf[:n], int64(offset))
			return err
		})
		if err != nil {
			return err
		}
		if f.verify(i, buf[:n]) {
			good = append(good, put{f, c, i, n})
		}
	}
	if len(good) == 0 {
		return nil
	}
	return s.commit(good)
}

// openSource opens a copy's file, nil if it is gone.
func (s *Store) openSource(id uint64) (*os.File, error) {
	var rec copyRecord
	if err := s.index.record(copyKey(keyCopy, id), &rec); err != nil {
		return nil, ignore(err, errNoKey)
	}
	if rec.External != "" {
		f, err := openRegular(rec.External)
		return f, ignore(err, fs.ErrNotExist)
	}
	for _, name := range rec.Names {
		f, err := s.dir.open(name, os.O_RDONLY)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, nil
}
