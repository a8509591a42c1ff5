package store

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// orphans lists what lies in the models folder and no release owns: folders
// without a release in the index, and files in release folders without a name
// there. They come from crashes in Begin and Adopt, or from other programs.
func (s *Store) orphans() (out []string, err error) {
	folders, out, err := s.releaseFolders()
	if err != nil {
		return nil, err
	}
	for _, dir := range folders {
		s.mu.Lock()
		m, ok := s.folders[dir]
		s.mu.Unlock()
		if !ok {
			out = append(out, dir)
			continue
		}
		stray, err := s.strayFiles(m, dir)
		if err != nil {
			return nil, err
		}
		out = append(out, stray...)
	}
	slices.Sort(out)
	return out, nil
}

// releaseFolders lists the folders models/publisher/name/release, and what lies
// beside them that is no folder.
func (s *Store) releaseFolders() (folders, strays []string, err error) {
	level := []string{modelsDir}
	for range 3 {
		var next []string
		for _, dir := range level {
			entries, err := s.dir.list(dir)
			if err != nil {
				return nil, nil, err
			}
			for _, e := range entries {
				if name := path.Join(dir, e.Name()); e.IsDir() {
					next = append(next, name)
				} else {
					strays = append(strays, name)
				}
			}
		}
		level = next
	}
	return level, strays, nil
}

// strayFiles lists what lies in a release's folder, has no name in the index and
// is none of the release's files. Where the manifest is gone nobody can tell.
func (s *Store) strayFiles(m manifest.CID, dir string) (out []string, err error) {
	prefix := releaseKey(keyName, m)
	known := map[string]bool{path.Join(dir, releaseName): true}
	err = s.index.scan(prefix, false, func(k, _ []byte) error {
		known[path.Join(dir, string(k[len(prefix):]))] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	rec, ok := s.release(m)
	if !ok {
		return nil, nil // removed meanwhile
	}
	mf, err := s.manifestOf(rec.Release)
	if err != nil {
		return nil, ignore(err, ErrNotHeld)
	}
	for _, v := range rec.Variants {
		targets, err := targetsOf(dir, mf, v.Name)
		if err != nil {
			return nil, err
		}
		for _, t := range targets {
			known[t.name] = true // Begin takes it over
		}
	}
	err = fs.WalkDir(s.dir.root.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !known[name] {
			out = append(out, name)
		}
		return ignore(err, fs.ErrNotExist)
	})
	return out, err
}

// gcOrphans removes orphans that nobody touched for Config.Grace. A folder whose
// release file has pins stays: it is more likely that the index lost it than
// that nobody needs it, and a rebuild finds it again.
func (s *Store) gcOrphans(ctx context.Context) (removed int, err error) {
	orphans, err := s.orphans()
	if err != nil {
		return 0, err
	}
	for _, name := range orphans {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		gone, err := s.removeOrphan(name)
		if err != nil {
			return removed, err
		}
		if gone {
			removed++
		}
	}
	return removed, nil
}

func (s *Store) removeOrphan(name string) (bool, error) {
	s.edit.Lock() // whoever makes folders and files holds it until the index has them
	defer s.edit.Unlock()
	info, err := s.dir.root.Lstat(name)
	if err != nil {
		return false, ignore(err, fs.ErrNotExist)
	}
	if s.cfg.Now().Sub(info.ModTime()) < s.cfg.Grace {
		return false, nil
	}
	s.mu.Lock()
	m, owned := s.folders[folderOf(name)]
	s.mu.Unlock()
	if owned {
		prefix := folderOf(name) + "/"
		_, err := s.index.get(append(releaseKey(keyName, m), strings.TrimPrefix(name, prefix)...))
		if !errors.Is(err, errNoKey) || name+"/" == prefix {
			return false, ignore(err, errNoKey)
		}
	} else if rec, err := s.readRelease(name); err == nil && len(rec.Pins) > 0 {
		s.log.Warn("left a pinned release that the index does not know: run `dunlin fsck --rebuild`", slog.String("folder", name))
		return false, nil
	}
	trash := path.Join(trashDir, rand.Text())
	if err := s.dir.root.Rename(name, trash); err != nil {
		return false, ignore(err, fs.ErrNotExist)
	}
	s.removeEmpty(path.Dir(name))
	return true, s.dir.root.RemoveAll(trash)
}

// readRelease reads the release file in a folder.
func (s *Store) readRelease(dir string) (*releaseRecord, error) {
	data, err := s.dir.readFile(path.Join(dir, releaseName), manifest.MaxBlockBytes)
	if err != nil {
		return nil, err
	}
	rec := &releaseRecord{}
	return rec, manifest.Decode(data, rec)
}
