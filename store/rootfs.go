package store

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	dirPerm      fs.FileMode = 0o755
	blockPerm    fs.FileMode = 0o444
	metaPerm     fs.FileMode = 0o644
	writingPerm  fs.FileMode = 0o644
	finishedPerm fs.FileMode = 0o444 // names in several releases share one file
)

// folder is a directory that names cannot lead out of. Names are relative and
// slash-separated. A symbolic link is never a file of ours: links that leave
// the folder are refused by os.Root, and the rest by the checks here.
type folder struct {
	root *os.Root
	path string // absolute
}

// full returns the absolute path of name, as the system writes it.
func (d folder) full(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

// sync makes the entries of the folder name survive power loss.
func (d folder) sync(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", d.full(name), err)
	}
	return nil
}

// mkdirs makes the folder name and its missing parents, each of them durable.
func (d folder) mkdirs(name string) error {
	at := ""
	for part := range strings.SplitSeq(name, "/") {
		parent := cmp.Or(at, ".")
		at = path.Join(at, part)
		info, err := d.root.Lstat(at)
		switch {
		case err == nil && info.IsDir():
			continue
		case err == nil:
			return fmt.Errorf("make folder %s: something that is no folder is in the way: move it away", d.full(at))
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := d.root.Mkdir(at, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := d.sync(parent); err != nil {
			return err
		}
	}
	return nil
}

// open opens the regular file name; a symbolic link, folder or device is an
// error that wraps fs.ErrInvalid, and nothing of it is read or written.
func (d folder) open(name string, flag int) (*os.File, error) {
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: a %s is in the file's place: %w", d.full(name), before.Mode().Type(), fs.ErrInvalid)
	}
	f, err := d.root.OpenFile(name, flag, 0)
	if err != nil {
		return nil, err
	}
	if after, err := f.Stat(); err != nil || !os.SameFile(before, after) {
		return nil, errors.Join(err, f.Close(), fmt.Errorf("open %s: replaced meanwhile: %w", d.full(name), fs.ErrInvalid))
	}
	return f, nil
}

// create makes the file name, which must not be there in any form.
func (d folder) create(name string, perm fs.FileMode) (*os.File, error) {
	return d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
}

// readFile reads the regular file name of at most limit bytes.
func (d folder) readFile(name string, limit int64) ([]byte, error) {
	f, err := d.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	data, err := readAtMost(f, limit)
	return data, errors.Join(err, f.Close())
}

func readAtMost(f *os.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, at most %d", f.Name(), info.Size(), limit)
	}
	data := make([]byte, info.Size())
	n, err := f.ReadAt(data, 0)
	if n == len(data) {
		err = nil
	}
	return data[:n], err
}

// put writes data to a temporary file in staging and renames it to name; the
// folder of name must be there. It is atomic but durable only with durable set.
func (d folder) put(name string, data []byte, perm fs.FileMode, durable bool) (err error) {
	temp := path.Join(stagingDir, rand.Text())
	f, err := d.create(temp, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, ignore(d.root.Remove(temp), fs.ErrNotExist))
	}
	if durable {
		return d.sync(path.Dir(name))
	}
	return nil
}

// empty removes everything in the folder name, which is a sub-folder of ours.
func (d folder) empty(name string) (removed int, err error) {
	entries, err := d.list(name)
	for _, e := range entries {
		if err := d.root.RemoveAll(path.Join(name, e.Name())); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, err
}

// list returns the entries of the folder name in order; none if it is not
// there.
func (d folder) list(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(d.root.FS(), name)
	return entries, ignore(err, fs.ErrNotExist)
}

// ignore returns nil in place of an error that is target.
func ignore(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}
