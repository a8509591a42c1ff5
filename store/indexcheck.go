package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// maxTableBytes bounds what is read of one table; they have about 2 MiB.
const maxTableBytes = 64 << 20

// checkTables reads every table that Badger is going to use and compares its
// checksums. Badger would panic on a damaged one, in goroutines of its own where
// nobody can recover; here the damage becomes an error. Tables without a place
// in Badger's manifest come from a crash, and Badger removes them itself.
func checkTables(dir string, opt badger.Options) error {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	listed, _, err := badger.ReplayManifestFile(f, 0, opt)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	for id := range listed.Tables {
		if err := checkTable(table.NewFilename(id, dir), id, opt); err != nil {
			return err
		}
	}
	return nil
}

// removeEmptyLogs removes logs of no length. A crash between Badger's making one
// and its giving it a length leaves it so; nothing can be in it, and Badger
// refuses to open it (v4.9.6, memtable.go: openMemTables takes z.NewFile for a
// failure).
func removeEmptyLogs(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignore(err, fs.ErrNotExist)
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".mem" && ext != ".vlog" {
			continue
		}
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && info.Size() == 0 {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkTable(name string, id uint64, opt badger.Options) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("table %s is damaged", name)
		}
	}()
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	data, err := readAtMost(f, maxTableBytes)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	t, err := table.OpenInMemoryTable(data, id, &table.Options{BlockSize: opt.BlockSize, Compression: opt.Compression})
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	if err := t.VerifyChecksum(); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	return nil
}
