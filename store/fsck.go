package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Fsck reads everything that is held and compares it with its digests, while
// the store goes on working. What rotted is marked missing, told to OnCorrupt,
// and fetched again by whoever wants it; rotten blocks are removed. What it
// finds is in the report; an error means that it could not look.
func (s *Store) Fsck(ctx context.Context, o FsckOptions) (FsckReport, error) {
	var report FsckReport
	if err := s.enter(); err != nil {
		return report, err
	}
	defer s.leave()
	if err := s.fsck(ctx, o, &report); err != nil {
		return report, fmt.Errorf("store: fsck: %w", err)
	}
	return report, nil
}

func (s *Store) fsck(ctx context.Context, o FsckOptions, report *FsckReport) error {
	s.mu.Lock()
	report.Releases = len(s.releases)
	s.mu.Unlock()
	if err := s.fsckBlocks(ctx, o, report); err != nil {
		return err
	}
	ids, err := s.index.ids([]byte{keyCopy})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.fsckCopy(ctx, id, o, report); err != nil {
			return err
		}
	}
	orphans, err := s.orphans()
	report.Orphans = append(report.Orphans, orphans...)
	slices.Sort(report.Orphans)
	slices.Sort(report.MissingFiles)
	return err
}

// fsckBlocks compares every block with its name.
func (s *Store) fsckBlocks(ctx context.Context, o FsckOptions, report *FsckReport) error {
	err := s.eachBlock(func(name string, c manifest.CID, ok bool) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !ok {
			report.Orphans = append(report.Orphans, name)
			return nil
		}
		report.Blocks++
		data, err := s.readBlock(c)
		switch {
		case errors.Is(err, ErrCorrupt):
			report.BadBlocks++
		case errors.Is(err, ErrNotHeld):
			report.Blocks-- // removed meanwhile
		case err != nil:
			return err
		}
		if o.Progress != nil {
			o.Progress(int64(len(data)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, report.MissingBlocks, err = s.neededBlocks()
	return err
}

// fsckCopy compares what a copy holds. Where blocks are missing that say what
// it should be, it can only look for its files.
func (s *Store) fsckCopy(ctx context.Context, id uint64, o FsckOptions, report *FsckReport) error {
	var rec copyRecord
	if err := s.index.record(copyKey(keyCopy, id), &rec); err != nil {
		return ignore(err, errNoKey)
	}
	report.MissingFiles = append(report.MissingFiles, s.missingFiles(&rec)...)
	f, err := s.file(rec.File)
	if errors.Is(err, ErrNotHeld) {
		return nil // counted as missing blocks, or removed meanwhile
	}
	if err != nil {
		return err
	}
	defer s.drop(f)
	for _, c := range f.snapshot() {
		if c.id != id {
			continue
		}
		// Through a new handle, so that a file which was deleted or replaced
		// is not taken for the one that is still open.
		if err := c.closeHandle(); err != nil {
			return err
		}
		got, err := s.checkCopy(ctx, f, c, o.Progress)
		report.Chunks += got.chunks
		report.Rotten += got.rotten
		report.Bytes += uint64(got.bytes)
		if err != nil {
			return err
		}
	}
	return nil
}

// missingFiles lists the names of a copy that are not on disk, or not of its
// size.
func (s *Store) missingFiles(rec *copyRecord) (out []string) {
	if rec.External != "" {
		if f, err := openRegular(rec.External); err != nil {
			out = append(out, rec.External)
		} else {
			_ = f.Close() // only looked whether it opens
		}
		return out
	}
	for _, name := range rec.Names {
		if info, ok := s.isRegular(name); !ok || uint64(info.Size()) != rec.Size {
			out = append(out, name)
		}
	}
	return out
}
