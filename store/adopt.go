package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sync/errgroup"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Adopt makes staged files the files of a release's variant (or Golden, Report),
// all chunks held. blocks are the release's blocks that are not here yet:
// manifest, layouts, digest trees. The files must be those that the manifest
// names for the variant, in its order, and the caller must have hashed them as
// staged: Adopt does not read them again, reads of chunks do. Copies move from
// the staging area into the release's folder and become read-only; a file that
// is held already becomes another name of it. One staging can be adopted once.
// Durable on return. Errors: ErrMismatch, ErrFull (quota), ErrNotHeld (a block).
func (s *Store) Adopt(ctx context.Context, st *Staged, r Release, variant string, blocks []manifest.Block) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("store: adopt: %w", err)
	}
	if st.store != s {
		return errors.New("store: adopt: files were staged in another store")
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	defer s.hold(r.Manifest)()
	if err := s.adopt(ctx, st, r, variant, blocks); err != nil {
		return fmt.Errorf("store: adopt %s: %w", r, full(err))
	}
	return nil
}

func (s *Store) adopt(ctx context.Context, st *Staged, r Release, variant string, blocks []manifest.Block) error {
	for _, b := range blocks {
		if err := b.CID.Verify(b.Data); err != nil {
			return err
		}
		if err := s.putBlock(b); err != nil {
			return err
		}
	}
	m, err := s.manifestOf(r)
	if err != nil {
		return err
	}
	targets, err := targetsOf("", m, variant)
	if err != nil {
		return err
	}
	if len(targets) != len(st.Files) {
		return fmt.Errorf("%d files staged, the manifest has %d: %w", len(st.Files), len(targets), ErrMismatch)
	}
	for i, f := range st.Files {
		if t := targets[i].file; t.Path != f.Path || t.Size != uint64(f.Size) {
			return fmt.Errorf("staged %s of %d bytes, the manifest has %s of %d: %w", f.Path, f.Size, t.Path, t.Size, ErrMismatch)
		}
		if err := st.check(i); err != nil {
			return err
		}
	}
	needed, err := s.describe(r, targets)
	if err != nil {
		return err
	}
	if err := s.syncBlocks(needed); err != nil {
		return err
	}
	if err := s.syncStaged(ctx, st); err != nil {
		return err
	}
	if err := s.adoptFiles(ctx, st, r, variant, targets); err != nil {
		return err
	}
	if err := st.remove(); err != nil {
		return err
	}
	// Other copies of these files may be incomplete: now they need not be.
	if err := s.fillAll(ctx, targets); err != nil {
		return err
	}
	return s.retireAll(r.Manifest, targets)
}

// syncStaged makes the staged copies durable and read-only.
func (s *Store) syncStaged(ctx context.Context, st *Staged) error {
	if st.external != "" {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i := range st.Files {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			f, err := s.dir.open(st.name(i), os.O_RDWR)
			if err != nil {
				return err
			}
			return errors.Join(f.Chmod(finishedPerm), f.Sync(), f.Close())
		})
	}
	return group.Wait()
}

// adoptFiles does the part of Adopt that holds edit.
//
//	crash before the release is in the index: an orphan folder; the staged files
//	                                          are gone with the next Open
//	crash before its files are:               files without a name in the index:
//	                                          publish again
func (s *Store) adoptFiles(ctx context.Context, st *Staged, r Release, variant string, targets []target) error {
	s.edit.Lock()
	defer s.edit.Unlock()
	rec, err := s.recordFor(r)
	if err != nil {
		return err
	}
	var need uint64
	for i, f := range st.Files {
		targets[i].name = path.Join(rec.Dir, variant, f.Path)
		if st.external == "" {
			need += uint64(f.Size)
		}
	}
	if err := s.makeRoom(ctx, r.String(), need, true); err != nil {
		return err
	}
	rec.addVariant(variantRecord{Name: variant, External: st.external})
	if err := s.writeRelease(rec); err != nil {
		return err
	}
	var changes []change
	made := make(map[manifest.FileID]change)
	folders := make(map[string]bool)
	for i, t := range targets {
		settled, err := s.completeName(r.Manifest, t)
		if err != nil {
			return err
		}
		if settled {
			continue
		}
		if err := s.replaceName(r.Manifest, t); err != nil {
			return err
		}
		ch, err := s.adoptFile(st, i, t, made)
		if err != nil {
			return err
		}
		if st.external == "" {
			folders[path.Dir(t.name)] = true
		}
		made[t.file.ID()] = ch
		changes = append(changes, ch)
	}
	for name := range folders {
		if err := s.dir.sync(name); err != nil {
			return err
		}
	}
	if err := s.apply(r.Manifest, changes); err != nil {
		return err
	}
	for _, ch := range made {
		if err := s.indexDigests(ch.id, ch.rec); err != nil {
			return err
		}
	}
	return nil
}

// completeName says whether a target is here and complete already.
func (s *Store) completeName(m manifest.CID, t target) (bool, error) {
	id, rec, err := s.copyOf(m, t.variant, t.file.Path)
	if err != nil {
		return false, ignore(err, errNoKey)
	}
	if rec.External == "" {
		if _, ok := s.isRegular(t.name); !ok {
			return false, nil
		}
	}
	return s.completeCopy(id, rec)
}

// adoptFile makes one staged file the target's.
func (s *Store) adoptFile(st *Staged, i int, t target, made map[manifest.FileID]change) (change, error) {
	if st.external != "" {
		chunks, _, err := s.chunksOf(t.file.ID(), t.file.Size, s.readBlock)
		id, rec := s.newCopy(t.file, chunks.Len())
		rec.Names, rec.External = []string{t.name}, st.Files[i].FullPath
		return change{target: t, id: id, rec: rec, complete: true}, err
	}
	if err := s.dir.mkdirs(path.Dir(t.name)); err != nil {
		return change{}, err
	}
	if ch, ok := made[t.file.ID()]; ok && s.linkName(ch.rec, t.name) {
		ch.rec.Names = append(ch.rec.Names, t.name)
		return change{target: t, id: ch.id, rec: ch.rec}, nil
	}
	id, old, err := s.insideCopy(t.file.ID())
	if err != nil {
		return change{}, err
	}
	if old != nil {
		complete, err := s.completeCopy(id, old)
		if err != nil {
			return change{}, err
		}
		if complete && s.linkName(old, t.name) {
			old.Names = append(old.Names, t.name)
			return change{target: t, id: id, rec: old}, nil
		}
	}
	chunks, _, err := s.chunksOf(t.file.ID(), t.file.Size, s.readBlock)
	if err != nil {
		return change{}, err
	}
	id, rec := s.newCopy(t.file, chunks.Len())
	rec.Names = []string{t.name}
	return change{target: t, id: id, rec: rec, complete: true}, s.dir.root.Rename(st.name(i), t.name)
}
