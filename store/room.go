package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// full makes a full disk's error one that wraps ErrFull.
func full(err error) error {
	if err != nil && noRoom(err) && !errors.Is(err, ErrFull) {
		return fmt.Errorf("%w on the disk: %w", ErrFull, err)
	}
	return err
}

// checkFree refuses to write n bytes where that would leave the index less
// than it needs to go on.
func (s *Store) checkFree(n uint64) error {
	free, err := freeBytes(s.dir.path)
	if err != nil {
		return err
	}
	if need := n + indexReserveBytes; free < need {
		return fmt.Errorf("%w on the disk of %s: %d bytes needed, %d free", ErrFull, s.dir.path, need, free)
	}
	return nil
}

// Usage says what the store takes of the disk.
func (s *Store) Usage() (Usage, error) {
	if err := s.enter(); err != nil {
		return Usage{}, err
	}
	defer s.leave()
	u := Usage{QuotaBytes: s.cfg.QuotaBytes}
	owned, err := s.occupied()
	for _, o := range owned {
		u.FileBytes += o.bytes
	}
	if err == nil {
		u.BlockBytes, err = s.folderBytes(blocksDir)
	}
	if err == nil {
		u.IndexBytes, err = s.folderBytes(indexDir)
	}
	if err == nil {
		u.FreeBytes, err = freeBytes(s.dir.path)
	}
	if err != nil {
		return Usage{}, fmt.Errorf("store: usage: %w", err)
	}
	return u, nil
}

// folderBytes sums up what the files below name take on disk.
func (s *Store) folderBytes(name string) (total uint64, err error) {
	err = fs.WalkDir(s.dir.root.FS(), name, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignore(err, fs.ErrNotExist)
		}
		info, err := d.Info()
		if err == nil {
			total += allocated(info)
		}
		return ignore(err, fs.ErrNotExist)
	})
	return total, err
}

// occupancy is one file on disk, whatever its names.
type occupancy struct {
	bytes  uint64
	owners map[manifest.CID]bool
}

// goesWith says whether every owner is among those.
func (o occupancy) goesWith(gone []manifest.CID) bool {
	for m := range o.owners {
		if !slices.Contains(gone, m) {
			return false
		}
	}
	return true
}

// occupied lists the store's files on disk. A file that is to grow to its size
// counts as if it had.
func (s *Store) occupied() ([]occupancy, error) {
	var out []occupancy
	seen := make(map[inode]int)
	err := s.index.scan([]byte{keyCopy}, true, func(k, v []byte) error {
		var rec copyRecord
		if err := manifest.Decode(v, &rec); err != nil {
			return fmt.Errorf("index key %x: %w: %w", k, ErrIndex, err)
		}
		if rec.External != "" || len(rec.Names) == 0 {
			return nil
		}
		o := occupancy{bytes: rec.Size, owners: make(map[manifest.CID]bool)}
		for _, m := range s.ownersOf(rec.Names) {
			o.owners[m] = true
		}
		var node inode
		for _, name := range rec.Names {
			if info, ok := s.isRegular(name); ok {
				o.bytes, node = max(o.bytes, allocated(info)), inodeOf(info)
				break
			}
		}
		if at, ok := seen[node]; ok && node != (inode{}) {
			for m := range o.owners {
				out[at].owners[m] = true
			}
			return nil
		}
		seen[node] = len(out)
		out = append(out, o)
		return nil
	})
	return out, err
}

// ownersOf returns the releases whose folders the names lie in.
func (s *Store) ownersOf(names []string) []manifest.CID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []manifest.CID
	for _, name := range names {
		if m, ok := s.folders[folderOf(name)]; ok && !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// folderOf returns the release folder that a name lies in: its first four
// parts.
func folderOf(name string) string {
	parts := strings.SplitN(name, "/", 5)
	return path.Join(parts[:min(4, len(parts))]...)
}

// makeRoom removes releases that nothing keeps, least recently used first,
// until need more bytes fit the quota and, where onDisk says that they are not
// there yet, the disk. If that cannot be done it removes nothing. Callers hold
// edit. Errors: ErrFull.
func (s *Store) makeRoom(ctx context.Context, what string, need uint64, onDisk bool) error {
	owned, err := s.occupied()
	if err != nil {
		return err
	}
	blocks, err := s.folderBytes(blocksDir)
	if err != nil {
		return err
	}
	free, err := freeBytes(s.dir.path)
	if err != nil {
		return err
	}
	used := blocks
	for _, o := range owned {
		used += o.bytes
	}
	quota := cmp.Or(s.cfg.QuotaBytes, math.MaxUint64)
	var onDiskNeed uint64
	if !onDisk {
		onDiskNeed = need + s.cfg.MinFreeBytes
	}
	victims := s.evictable()
	var gone []manifest.CID
	var freed uint64
	fits := func() bool {
		return used-freed+need <= quota && used-freed+need >= need && free+freed >= onDiskNeed
	}
	for !fits() && len(victims) > 0 {
		gone = append(gone, victims[0])
		victims = victims[1:]
		freed = 0
		for _, o := range owned {
			if o.goesWith(gone) {
				freed += o.bytes
			}
		}
	}
	if !fits() {
		return fmt.Errorf("%s: %w: %d bytes needed; quota %d, kept content %d; disk %d free, of which %d are left to others: raise the quota, free the disk or unpin releases",
			what, ErrFull, need, s.cfg.QuotaBytes, used-freed, free, s.cfg.MinFreeBytes)
	}
	for _, m := range gone {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec, _ := s.release(m)
		s.log.Info("removed a release to make room", slog.String("release", rec.Release.String()), slog.String("for", what))
		if err := s.remove(rec); err != nil {
			return err
		}
	}
	return nil
}

// evictable lists the releases that nothing keeps, least recently used first.
func (s *Store) evictable() []manifest.CID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []manifest.CID
	for m := range s.releases {
		if !s.kept(m) {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b manifest.CID) int {
		return cmp.Or(
			cmp.Compare(s.releases[a].used.Load(), s.releases[b].used.Load()),
			compareReleases(s.releases[a].rec.Release, s.releases[b].rec.Release))
	})
	return out
}

// kept says whether a release is pinned, wanted or being worked on. Callers
// hold mu.
func (s *Store) kept(m manifest.CID) bool {
	_, wanted := s.wants[m]
	return wanted || s.busy[m] > 0 || len(s.releases[m].rec.Pins) > 0
}
