package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// GC takes away what nothing needs: releases that are neither pinned, wanted
// nor worked on, blocks that no release and no want refers to, and files that
// crashes left behind; each only if it was not touched for Config.Grace, since
// somebody may be about to refer to it. It holds no lock for long, so the rest
// goes on meanwhile.
func (s *Store) GC(ctx context.Context) (GCReport, error) {
	var report GCReport
	if err := s.enter(); err != nil {
		return report, err
	}
	defer s.leave()
	before, err := s.dataBytes()
	if err == nil {
		err = s.gcReleases(ctx, &report)
	}
	if err == nil {
		report.Orphans, err = s.gcOrphans(ctx)
	}
	if err == nil {
		report.Blocks, err = s.gcBlocks(ctx)
	}
	if after, sumErr := s.dataBytes(); err == nil {
		report.Bytes, err = before-min(before, after), sumErr
	}
	if err != nil {
		return report, fmt.Errorf("store: gc: %w", err)
	}
	return report, nil
}

// dataBytes is what models and blocks take on disk, each file once.
func (s *Store) dataBytes() (uint64, error) {
	blocks, err := s.folderBytes(blocksDir)
	if err != nil {
		return 0, err
	}
	owned, err := s.occupied()
	for _, o := range owned {
		blocks += o.bytes
	}
	return blocks, err
}

func (s *Store) gcReleases(ctx context.Context, report *GCReport) error {
	for _, m := range s.evictable() {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec, err := s.gcRelease(m)
		if err != nil {
			return err
		}
		if rec != nil {
			report.Releases = append(report.Releases, rec.Release)
		}
	}
	return nil
}

// gcRelease removes one release if nothing keeps it now, nil if something does.
func (s *Store) gcRelease(m manifest.CID) (*releaseRecord, error) {
	s.edit.Lock()
	defer s.edit.Unlock()
	s.mu.Lock()
	r, ok := s.releases[m]
	ok = ok && !s.kept(m) && s.cfg.Now().Unix()-r.used.Load() >= int64(s.cfg.Grace.Seconds())
	s.mu.Unlock()
	if !ok {
		return nil, nil
	}
	return r.rec, s.remove(r.rec)
}

// gcBlocks removes blocks that nothing refers to.
func (s *Store) gcBlocks(ctx context.Context) (removed int, err error) {
	s.sweep.Lock()
	defer s.sweep.Unlock()
	s.setSweeping(make(map[string]bool))
	defer s.setSweeping(nil)
	needed, _, err := s.neededBlocks()
	if err != nil {
		return 0, err
	}
	err = s.eachBlock(func(name string, c manifest.CID, ok bool) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if ok && needed[c] {
			return nil
		}
		gone, err := s.removeOld(name)
		if gone {
			removed++
		}
		return err
	})
	return removed, err
}

// setSweeping starts or ends the notes about blocks that are put or counted on
// while GC looks for those that nothing needs.
func (s *Store) setSweeping(m map[string]bool) {
	s.blocks.Lock()
	defer s.blocks.Unlock()
	s.sweeping = m
}

// removeOld removes a block file unless it was touched of late.
func (s *Store) removeOld(name string) (bool, error) {
	s.blocks.Lock()
	defer s.blocks.Unlock()
	info, err := s.dir.root.Lstat(name)
	if err != nil {
		return false, ignore(err, fs.ErrNotExist)
	}
	if s.sweeping[name] || s.cfg.Now().Sub(info.ModTime()) < s.cfg.Grace {
		return false, nil
	}
	return true, s.dir.root.RemoveAll(name)
}

// eachBlock calls f with every file in the blocks folder, and whether its name
// is that of the block c.
func (s *Store) eachBlock(f func(name string, c manifest.CID, ok bool) error) error {
	folders, err := s.dir.list(blocksDir)
	if err != nil {
		return err
	}
	for _, d := range folders {
		if !d.IsDir() {
			continue // a link, maybe, to what is not ours to sweep
		}
		entries, err := s.dir.list(path.Join(blocksDir, d.Name()))
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := path.Join(blocksDir, d.Name(), e.Name())
			c, err := manifest.ParseCID(e.Name())
			if err := f(name, c, err == nil && blockName(c) == name); err != nil {
				return err
			}
		}
	}
	return nil
}

// neededBlocks returns the blocks that releases and wants refer to, and how many
// of those that releases refer to are not here. Whatever is missing hides what
// lies below it.
func (s *Store) neededBlocks() (needed map[manifest.CID]bool, missing int, err error) {
	s.mu.Lock()
	roots := make(map[manifest.CID][]string) // variants begun; nil for wants
	for m, r := range s.releases {
		for _, v := range r.rec.Variants {
			roots[m] = append(roots[m], v.Name)
		}
	}
	for m := range s.busy {
		roots[m] = append(roots[m], "")
	}
	for m := range s.wants {
		roots[m] = append(roots[m], "")
	}
	s.mu.Unlock()
	needed = make(map[manifest.CID]bool)
	absent := make(map[manifest.CID]bool)
	for root, variants := range roots {
		counts := !slices.Contains(variants, "")
		get := func(c manifest.CID) ([]byte, error) {
			needed[c] = true
			data, err := s.readBlock(c)
			if counts && errors.Is(err, ErrNotHeld) {
				absent[c] = true
			}
			return data, err
		}
		if err := walkBlocks(root, variants, get); err != nil {
			return nil, 0, err
		}
	}
	return needed, len(absent), nil
}
