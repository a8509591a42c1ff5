package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Rebuild throws away the index of a store that nobody has open and makes it
// again from the release files, the blocks and the files, all of which it reads:
// a chunk is held if the bytes at its place have its digest. Releases keep
// their variants, pins and files in place; wants lie in files anyway. A release
// some of whose blocks are gone keeps its record and its files, and the next
// Begin, after the blocks came back, takes the files over by reading them. If it
// is broken off it must be run again. Errors: ErrLocked.
func Rebuild(ctx context.Context, c Config, o FsckOptions) (FsckReport, error) {
	report := FsckReport{}
	s, err := openFiles(c)
	if err != nil {
		return report, err
	}
	if err := s.newIndex(); err != nil {
		return report, errors.Join(fmt.Errorf("store: rebuild: %w", full(err)), s.closeFiles())
	}
	err = s.loadWants()
	if err == nil {
		s.start()
		err = s.rebuild(ctx, o, &report)
	}
	if err == nil {
		err = s.index.update(func(e edit) error { return e.set([]byte{keyMeta}, []byte{stateReady}) })
	}
	if err != nil {
		err = fmt.Errorf("store: rebuild: %w", full(err))
	}
	return report, errors.Join(err, s.Close())
}

// newIndex puts the old index out of the way and opens an empty one, which says
// that it is being rebuilt until the end.
func (s *Store) newIndex() error {
	old := path.Join(trashDir, rand.Text())
	if err := s.dir.root.Rename(indexDir, old); err != nil {
		return err
	}
	if err := s.dir.root.RemoveAll(old); err != nil {
		return err
	}
	if err := s.dir.mkdirs(indexDir); err != nil {
		return err
	}
	if err := s.checkFree(0); err != nil {
		return err
	}
	var err error
	if s.index, err = openIndex(s.dir.full(indexDir), s.log); err != nil {
		return err
	}
	err = s.index.update(func(e edit) error { return e.set([]byte{keyMeta}, []byte{stateRebuilding}) })
	if err != nil {
		err = errors.Join(err, s.index.close())
	}
	return err
}

func (s *Store) rebuild(ctx context.Context, o FsckOptions, report *FsckReport) error {
	if err := s.fsckBlocks(ctx, o, report); err != nil {
		return err
	}
	folders, strays, err := s.releaseFolders()
	if err != nil {
		return err
	}
	report.Orphans = append(report.Orphans, strays...)
	for _, dir := range folders {
		rec, err := s.readRelease(dir)
		if err == nil && rec.Dir != dir {
			err = fmt.Errorf("release file is of folder %s", rec.Dir)
		}
		if _, twice := s.release(recManifest(rec)); err == nil && twice {
			err = errors.New("another folder has the same manifest")
		}
		if err != nil {
			s.log.Warn("left a folder without a release", slog.String("folder", dir), slog.Any("err", err))
			report.BadReleases = append(report.BadReleases, dir)
			continue
		}
		if err := s.rebuildRelease(ctx, rec, o, report); err != nil {
			return fmt.Errorf("%s: %w", rec.Release, err)
		}
		report.Releases++
	}
	if _, report.MissingBlocks, err = s.neededBlocks(); err != nil {
		return err
	}
	orphans, err := s.orphans()
	report.Orphans = append(report.Orphans, orphans...)
	return err
}

func recManifest(rec *releaseRecord) manifest.CID {
	if rec == nil {
		return manifest.CID{}
	}
	return rec.Release.Manifest
}

// rebuildRelease brings one release back.
func (s *Store) rebuildRelease(ctx context.Context, rec *releaseRecord, o FsckOptions, report *FsckReport) error {
	s.edit.Lock()
	defer s.edit.Unlock()
	if err := s.writeRelease(rec); err != nil {
		return err
	}
	m, err := s.manifestOf(rec.Release)
	if err != nil {
		return ignore(err, ErrNotHeld)
	}
	for _, v := range rec.Variants {
		targets, err := targetsOf(rec.Dir, m, v.Name)
		if err != nil {
			return err
		}
		for _, t := range targets {
			external := ""
			if _, ok := s.isRegular(t.name); v.External != "" && !ok {
				external = filepath.Join(v.External, filepath.FromSlash(t.file.Path))
			}
			if err := s.rebuildFile(ctx, rec.Release.Manifest, t, external, o, report); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	return nil
}

// rebuildFile brings one file back: as another name of a copy found before, or
// as a copy of its own whose chunks are read.
func (s *Store) rebuildFile(ctx context.Context, m manifest.CID, t target, external string, o FsckOptions, report *FsckReport) error {
	info, here := s.isRegular(t.name)
	if external == "" && !here {
		report.MissingFiles = append(report.MissingFiles, t.name)
		return nil // Begin makes it again
	}
	chunks, _, err := s.chunksOf(t.file.ID(), t.file.Size, s.readBlock)
	if errors.Is(err, ErrNotHeld) {
		return nil // without its blocks nobody knows what it should be
	}
	if err != nil {
		return err
	}
	if id, old, err := s.insideCopy(t.file.ID()); err != nil {
		return err
	} else if old != nil && here && external == "" {
		if first, ok := s.isRegular(old.Names[0]); ok && os.SameFile(first, info) {
			old.Names = append(old.Names, t.name)
			return s.apply(m, []change{{target: t, id: id, rec: old}})
		}
	}
	id, rec := s.newCopy(t.file, chunks.Len())
	rec.Names, rec.External = []string{t.name}, external
	if err := s.apply(m, []change{{target: t, id: id, rec: rec}}); err != nil {
		return err
	}
	if err := s.indexDigests(id, rec); err != nil {
		return err
	}
	got, err := s.findChunks(ctx, id, rec, o.Progress)
	report.Chunks += got.chunks
	report.Bytes += uint64(got.bytes)
	return err
}
