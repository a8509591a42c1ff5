// Package durable is the one home of durability: whole files that are either
// the old one or the new one after a crash at any instruction, and folders
// whose entries survive power loss.
//
// The order is the usual one: write a temporary file beside the target, fsync
// it, close it, rename it over the target, fsync the folder. See the LWN
// article "Ensuring data reaches disk" (https://lwn.net/Articles/457667/).
//
// Not promised: protection against two processes that write the same file at
// the same time (the last rename wins), or against disks that lie about fsync.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempMark stands in the name of every temporary file of this package, so that
// RemoveTemporary finds what a crash left behind.
const tempMark = ".dunlin-tmp-"

// WriteFile replaces the file at path by data, with permission bits perm.
// After it returns nil the new content survives power loss; after an error or
// a crash the old content (or absence) is still there, whole.
func WriteFile(path string, data []byte, perm fs.FileMode) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, base+tempMark+"*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), ignoreNotExist(os.Remove(f.Name())))
		}
	}()
	if _, err = f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Chmod(perm); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// SyncDir makes the entries of the folder dir (names created, renamed or
// removed in it) survive power loss.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// MkdirAll makes the folder path and its missing parents, each of them durable.
func MkdirAll(path string, perm fs.FileMode) error {
	path = filepath.Clean(path)
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("make folder %s: a file of that name is in the way", path)
		}
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	return SyncDir(parent)
}

// RemoveTemporary deletes the temporary files that a crash during WriteFile
// left in dir, and returns how many there were.
func RemoveTemporary(dir string) (removed int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("clean folder: %w", err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.Contains(e.Name(), tempMark) {
			continue
		}
		if err := ignoreNotExist(os.Remove(filepath.Join(dir, e.Name()))); err != nil {
			return removed, fmt.Errorf("clean folder: %w", err)
		}
		removed++
	}
	return removed, nil
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
