package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// This file has the edits of copies and their names. Callers hold edit.

// copyOf returns the copy that a release calls variant/path; errNoKey if none.
func (s *Store) copyOf(m manifest.CID, variant, path string) (id uint64, rec *copyRecord, err error) {
	value, err := s.index.get(nameKey(m, variant, path))
	if err != nil {
		return 0, nil, err
	}
	if len(value) != 8 {
		return 0, nil, fmt.Errorf("name %s/%s of %s: %w", variant, path, m, ErrIndex)
	}
	id = lastID(value)
	rec = &copyRecord{}
	return id, rec, s.index.record(copyKey(keyCopy, id), rec)
}

// change is what one target becomes in the index, once it is so on disk.
type change struct {
	target   target
	id       uint64
	rec      *copyRecord
	complete bool // a new copy that has every chunk
	found    bool // a new copy whose file was there: its chunks are to be found
}

// newCopy makes the record of a copy of a file whose layout has that many
// chunks.
func (s *Store) newCopy(f manifest.File, chunks int) (uint64, *copyRecord) {
	s.nextID++
	return s.nextID, &copyRecord{Schema: recordSchema, File: f.ID(), Size: f.Size, SHA256: f.SHA256, Chunks: uint32(chunks)}
}

// apply writes changes into the index and into files in memory. The bits of
// complete copies come first: until the copy's record follows nobody looks at
// them, and Open removes those without a record.
func (s *Store) apply(m manifest.CID, changes []change) error {
	for _, ch := range changes {
		if !ch.complete {
			continue
		}
		held := newBitmap(int(ch.rec.Chunks))
		held.fill(int(ch.rec.Chunks))
		err := s.index.bulk(func(set func(k, v []byte) error, _ func([]byte) error) error {
			for n := range len(held) / segmentBytes {
				if err := set(bitsKey(ch.id, n), held.segment(n)); err != nil {
					return err
				}
			}
			return set(copyKey(keyHeld, ch.id), heldCount{ch.rec.Chunks, ch.rec.Size}.encode())
		})
		if err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(changes, maxBatch) {
		err := s.index.update(func(e edit) error {
			for _, ch := range batch {
				if err := e.setName(m, ch); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, ch := range changes {
		if err := s.showCopy(ch.id, ch.rec); err != nil {
			return err
		}
	}
	return nil
}

func (e edit) setName(m manifest.CID, ch change) error {
	t := ch.target
	return errors.Join(
		e.setRecord(copyKey(keyCopy, ch.id), ch.rec),
		e.set(append(filePrefix(ch.rec.File), uint64Bytes(ch.id)...), nil),
		e.set(append(sumPrefix(ch.rec.SHA256, ch.rec.Size), uint64Bytes(ch.id)...), nil),
		e.set(nameKey(m, t.variant, t.file.Path), uint64Bytes(ch.id)))
}

// showCopy brings a file in memory up to date with a copy's record.
func (s *Store) showCopy(id uint64, rec *copyRecord) error {
	f, ok := s.cached(rec.File)
	if !ok {
		return nil
	}
	defer s.drop(f)
	s.bits.Lock()
	defer s.bits.Unlock()
	owners := s.ownersOf(rec.Names)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.copies {
		if c.id == id {
			c.mu.Lock()
			c.names, c.owners = rec.Names, owners
			c.mu.Unlock()
			return nil
		}
	}
	c, err := s.loadCopy(id)
	if err != nil {
		return err
	}
	f.copies = append(f.copies, c)
	return nil
}

// unname takes a name from a copy, which goes with its last name. The name on
// disk is the caller's business.
func (s *Store) unname(id uint64, rec *copyRecord, name string) error {
	rec.Names = slices.DeleteFunc(slices.Clone(rec.Names), func(n string) bool { return n == name })
	if len(rec.Names) == 0 {
		return s.dropCopy(id, rec)
	}
	err := s.index.update(func(e edit) error { return e.setRecord(copyKey(keyCopy, id), rec) })
	if err != nil {
		return err
	}
	return s.showCopy(id, rec)
}

// dropCopy takes a copy out of the index and of memory, in an order that may be
// broken off anywhere and begun again:
//
//  1. the FileID no longer finds it; files in memory lose it: nobody writes
//     its bits from here on
//  2. its digests, which are found through its record, and its bits
//  3. its record
func (s *Store) dropCopy(id uint64, rec *copyRecord) error {
	s.bits.Lock()
	err := s.index.update(func(e edit) error {
		return errors.Join(
			e.del(append(filePrefix(rec.File), uint64Bytes(id)...)),
			e.del(append(sumPrefix(rec.SHA256, rec.Size), uint64Bytes(id)...)))
	})
	s.bits.Unlock()
	if err != nil {
		return err
	}
	if err := s.hideCopy(rec.File, id); err != nil {
		return err
	}
	digests, err := s.digestKeys(id, rec)
	if err != nil {
		return err
	}
	err = s.index.bulk(func(_ func(k, v []byte) error, del func([]byte) error) error {
		for _, k := range digests {
			if err := del(k); err != nil {
				return err
			}
		}
		for n := range len(newBitmap(int(rec.Chunks))) / segmentBytes {
			if err := del(bitsKey(id, n)); err != nil {
				return err
			}
		}
		return del(copyKey(keyHeld, id))
	})
	if err != nil {
		return err
	}
	return s.index.update(func(e edit) error { return e.del(copyKey(keyCopy, id)) })
}

// hideCopy takes a copy away from a file in memory and closes it, after reads
// under way.
func (s *Store) hideCopy(id manifest.FileID, number uint64) error {
	f, ok := s.cached(id)
	if !ok {
		return nil
	}
	defer s.drop(f)
	f.mu.Lock()
	at := slices.IndexFunc(f.copies, func(c *fileCopy) bool { return c.id == number })
	if at < 0 {
		f.mu.Unlock()
		return nil
	}
	c := f.copies[at]
	f.copies = slices.Delete(slices.Clone(f.copies), at, at+1)
	last := len(f.copies) == 0
	f.mu.Unlock()

	s.bits.Lock()
	c.mu.Lock()
	c.removed = true
	c.mu.Unlock()
	s.bits.Unlock()
	if last {
		s.forget(f)
	}
	return c.closeHandle()
}

// digestKeys returns the index keys of a copy's chunk digests: from the digest
// list, or where that is gone by looking at all keys.
func (s *Store) digestKeys(id uint64, rec *copyRecord) (out [][]byte, err error) {
	if !rec.Indexed {
		return nil, nil
	}
	_, digests, err := s.chunksOf(rec.File, rec.Size, s.readBlock)
	if err == nil {
		for i, d := range digests {
			out = append(out, digestKey(d, id, i))
		}
		return out, nil
	}
	err = s.index.scan([]byte{keyDigest}, false, func(k, _ []byte) error {
		if len(k) == 29 && lastID(k[:25]) == id {
			out = append(out, slices.Clone(k))
		}
		return nil
	})
	return out, err
}

// indexDigests writes where each chunk of a copy lies, so that other files
// that have the same chunk can take it. Whether it is held is looked up then.
func (s *Store) indexDigests(id uint64, rec *copyRecord) error {
	if rec.Indexed {
		return nil
	}
	chunks, digests, err := s.chunksOf(rec.File, rec.Size, s.readBlock)
	if err != nil {
		return err
	}
	rec.Indexed = true // first, so that a removal after a crash looks for them
	if err := s.index.update(func(e edit) error { return e.setRecord(copyKey(keyCopy, id), rec) }); err != nil {
		return err
	}
	return s.index.bulk(func(set func(k, v []byte) error, _ func([]byte) error) error {
		for i, d := range digests {
			offset, n := chunks.At(i)
			if err := set(digestKey(d, id, i), place{offset, uint64(n)}.encode()); err != nil {
				return err
			}
		}
		return nil
	})
}
