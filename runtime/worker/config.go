package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/limit"
)

// Argument is the hidden first argument with which a program is started to be
// a worker; Main is what it must run then.
const Argument = "runtime-worker"

// Config configures workers. Info and Logger are required.
type Config struct {
	// Info describes the engine that workers load models with, as its own Info
	// does; that engine need not be opened in this process.
	Info modelrt.Info
	// Executable is the absolute path of the program to start with Argument.
	// Default: this program.
	Executable string
	// Arguments follow Argument; they tell the worker how to make its engine.
	Arguments []string
	// Env holds further KEY=VALUE settings for workers, which otherwise get only
	// what limit.Environ gives.
	Env []string
	// Limits bound each worker. A worker that takes too much memory is killed
	// and counts as crashed.
	Limits limit.Limits
	// LoadTimeout bounds the start of a worker until its model is loaded.
	// Default 2 minutes.
	LoadTimeout time.Duration
	// StopTimeout is how long a run may go on after its context ended before
	// the worker is killed. Default 5 seconds.
	StopTimeout time.Duration
	// MaxConcurrent is how many runs of a session may be under way; further ones
	// wait for their turn. 1 to 256, default 32.
	MaxConcurrent int
	// ArenaBytes is the size of each of a worker's two arenas, of which memory
	// is taken only where a tensor has lain. 64 KiB to 1 GiB, default 64 MiB.
	ArenaBytes int64
	// Logger receives a line per crash and per restart.
	Logger *slog.Logger
}

// Bounds of Config.
const (
	maxConcurrent = 256
	minArenaBytes = 64 << 10
	maxArenaBytes = 1 << 30
)

// withDefaults returns c with defaults in place of zeros.
func (c Config) withDefaults() (Config, error) {
	if c.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return c, fmt.Errorf("worker config: find this program: %w", err)
		}
		c.Executable = exe
	}
	c.LoadTimeout = orDefault(c.LoadTimeout, 2*time.Minute)
	c.StopTimeout = orDefault(c.StopTimeout, 5*time.Second)
	c.MaxConcurrent = orDefault(c.MaxConcurrent, 32)
	c.ArenaBytes = orDefault(c.ArenaBytes, 64<<20)
	return c, nil
}

func orDefault[T comparable](v, byDefault T) T {
	var zero T
	if v == zero {
		return byDefault
	}
	return v
}

// Validate reports everything that is wrong, after defaults.
func (c Config) Validate() error {
	errs := []error{c.Limits.Validate()}
	if c.Info.Name == "" {
		errs = append(errs, errors.New("no engine info"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("no logger"))
	}
	if !filepath.IsAbs(c.Executable) {
		errs = append(errs, fmt.Errorf("executable %q is not an absolute path", c.Executable))
	}
	for name, d := range map[string]time.Duration{"load timeout": c.LoadTimeout, "stop timeout": c.StopTimeout} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s of %s", name, d))
		}
	}
	if c.MaxConcurrent < 1 || c.MaxConcurrent > maxConcurrent {
		errs = append(errs, fmt.Errorf("%d concurrent runs are not within 1 and %d", c.MaxConcurrent, maxConcurrent))
	}
	if c.ArenaBytes < minArenaBytes || c.ArenaBytes > maxArenaBytes {
		errs = append(errs, fmt.Errorf("arena of %d bytes is not within %d and %d", c.ArenaBytes, minArenaBytes, maxArenaBytes))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("worker config: %w", err)
	}
	return nil
}
