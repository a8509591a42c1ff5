package batch

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// Config bounds requests. [DefaultConfig] is good for small machines.
type Config struct {
	// MaxBatch is how many rows (sizes of the first dimension) one run may have,
	// 1 to 1024; 1 turns batching off. Default 8.
	MaxBatch int
	// Delay is how long a request waits for others while a run is free, 0 to 1 s.
	// It costs latency, so the default is 0: batches form of what waits anyway.
	Delay time.Duration
	// Concurrency is how many runs of one model may be under way, 1 to 1024.
	// Default: the processors that this process may use.
	Concurrency int
	// Queue is how many requests to one model may wait, 0 to 65536. Default 256.
	Queue int
	// MaxBytes bounds the bytes of inputs that wait or run, over all models of
	// an engine, and of the copies that batches need; at least 1. Default 256 MiB.
	MaxBytes int64
	// Logger receives one line when a model is found to batch well, or badly.
	// Required.
	Logger *slog.Logger
}

// DefaultConfig returns the defaults.
func DefaultConfig(logger *slog.Logger) Config {
	return Config{MaxBatch: 8, Concurrency: runtime.GOMAXPROCS(0), Queue: 256, MaxBytes: 256 << 20, Logger: logger}
}

// Validate reports every field that is out of its range.
func (c Config) Validate() error {
	var errs []error
	within := func(name string, n, low, high int) {
		if n < low || n > high {
			errs = append(errs, fmt.Errorf("%s %d is not within %d and %d", name, n, low, high))
		}
	}
	within("max batch", c.MaxBatch, 1, 1024)
	within("concurrency", c.Concurrency, 1, 1024)
	within("queue", c.Queue, 0, 1<<16)
	if c.Delay < 0 || c.Delay > time.Second {
		errs = append(errs, fmt.Errorf("delay %v is not within 0 and 1s", c.Delay))
	}
	if c.MaxBytes < 1 {
		errs = append(errs, fmt.Errorf("max bytes %d is not positive", c.MaxBytes))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("no logger"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("batch config: %w", err)
	}
	return nil
}
