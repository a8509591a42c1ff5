package node

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/store"
)

func (n *Node) storeConfig() store.Config {
	c := storeConfig(n.dir, n.config, n.log)
	c.OnCorrupt = func(id manifest.FileID, i int) {
		n.log.Warn("a chunk on disk is rotten, fetching it again", slog.String("file", id.String()), slog.Int("chunk", i))
		if net := n.net.Load(); net != nil {
			net.transfer.Changed(id)
		}
		n.poke()
	}
	return c
}

func storeConfig(dir string, c Config, log *slog.Logger) store.Config {
	return store.Config{Dir: filepath.Join(dir, storeName), QuotaBytes: c.QuotaBytes, MinFreeBytes: c.MinFreeBytes, Logger: log}
}

// Rebuild makes the store's index again from the store's files, in the home of
// a node that is not open.
func Rebuild(ctx context.Context, dir string, log *slog.Logger, progress func(bytes int64)) (store.FsckReport, error) {
	config, err := LoadConfig(dir)
	if err != nil {
		return store.FsckReport{}, err
	}
	return store.Rebuild(ctx, storeConfig(dir, config, log), store.FsckOptions{Progress: progress})
}
