package store

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Defaults of [Config].
const (
	DefaultCommitBytes  = 1 << 20
	DefaultMinFreeBytes = 64 << 20
	DefaultGrace        = time.Hour
)

// Config says where a store lies and how much it may take.
type Config struct {
	// Dir is the store's folder; made if it does not exist. Required.
	Dir string
	// QuotaBytes bounds what files of releases and blocks occupy; files in
	// place outside the store do not count. 0: no bound but the disk's.
	QuotaBytes uint64
	// MinFreeBytes is how much of the file system is left to others; 0 for
	// DefaultMinFreeBytes. The index itself needs at least 8 MiB to work with,
	// so less than that is taken for 8 MiB.
	MinFreeBytes uint64
	// CommitBytes bounds the chunk bytes that are written and not yet durable,
	// which is what a crash costs; 0 for DefaultCommitBytes. A single chunk
	// always fits.
	CommitBytes int
	// Grace is how long blocks and releases that nothing refers to yet are
	// left alone by GC, since somebody may be about to; 0 for DefaultGrace.
	Grace time.Duration
	// OnCorrupt, if given, is called after chunk i of the file turned out
	// rotten and was marked missing. It is called without locks held, by the
	// goroutine that found out, maybe by several at a time; it must not block.
	OnCorrupt func(id manifest.FileID, i int)
	// Now is the clock; nil for time.Now. It only ages what is not in use.
	Now func() time.Time
	// Logger gets warnings about rot and leftovers; nil for slog.Default().
	Logger *slog.Logger
}

// Validate says what is wrong with c.
func (c Config) Validate() error {
	switch {
	case c.Dir == "":
		return errors.New("store: no folder given")
	case c.CommitBytes < 0 || int64(c.CommitBytes) > math.MaxInt32:
		return fmt.Errorf("store: %d bytes a commit, want 0 to %d", c.CommitBytes, math.MaxInt32)
	case c.Grace < 0:
		return fmt.Errorf("store: grace of %s", c.Grace)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.MinFreeBytes == 0 {
		c.MinFreeBytes = DefaultMinFreeBytes
	}
	c.MinFreeBytes = max(c.MinFreeBytes, indexReserveBytes)
	if c.CommitBytes == 0 {
		c.CommitBytes = DefaultCommitBytes
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}
