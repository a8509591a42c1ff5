package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// compiledAge is how long what a provider compiled is left alone: a load under
// way may be writing or reading it.
const compiledAge = time.Hour

// removeCompiled removes what execution providers compiled, which they make again
// at the next load, and returns how many bytes that were.
func (n *Node) removeCompiled(now time.Time) (bytes uint64, err error) {
	root, err := os.OpenRoot(CacheDir(n.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	err = fs.WalkDir(root.FS(), compiledName, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || now.Sub(info.ModTime()) < compiledAge {
			return nil // it is gone, or new
		}
		if err := root.Remove(filepath.FromSlash(path)); err != nil {
			return err
		}
		bytes += uint64(max(info.Size(), 0))
		return nil
	})
	return bytes, err
}
