package node

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/batch"
)

// RequestsConfig bounds requests to models, whoever sends them. Zero stands for
// a default of [batch.DefaultConfig].
type RequestsConfig struct {
	// MaxBatch is how many requests of one row each may run as one, where a
	// model is proven to allow it; 1 for none. Default 8.
	MaxBatch int `json:"max_batch,omitempty"`
	// DelayMicroseconds is how long a request waits for others to run with, up
	// to a second. Default 0: only requests that wait anyway run together.
	DelayMicroseconds int `json:"delay_us,omitempty"`
	// Concurrency is how many runs of one model may be under way. Default: one
	// for each processor.
	Concurrency int `json:"concurrency,omitempty"`
	// Queue is how many requests to one model may wait; more are refused as
	// overload. Default 256.
	Queue int `json:"queue,omitempty"`
	// MaxBytes bounds the inputs of all requests that wait or run. Default
	// 256 MiB.
	MaxBytes int64 `json:"max_bytes,omitempty"`
}

// batching returns the configuration with its defaults.
func (c RequestsConfig) batching(log *slog.Logger) batch.Config {
	d := batch.DefaultConfig(log)
	d.MaxBatch = cmp.Or(c.MaxBatch, d.MaxBatch)
	d.Delay = time.Duration(c.DelayMicroseconds) * time.Microsecond
	d.Concurrency = cmp.Or(c.Concurrency, d.Concurrency)
	d.Queue = cmp.Or(c.Queue, d.Queue)
	d.MaxBytes = cmp.Or(c.MaxBytes, d.MaxBytes)
	return d
}

// Validate refuses what [batch.Config.Validate] refuses.
func (c RequestsConfig) Validate() error {
	if err := c.batching(slog.New(slog.DiscardHandler)).Validate(); err != nil {
		return fmt.Errorf("requests: %w", err)
	}
	return nil
}

// bounded returns the engine that the activator uses: requests to its sessions
// are queued, bounded and batched.
func (n *Node) bounded() (modelrt.Engine, error) {
	return batch.NewEngine(n.engine, n.config.Requests.batching(n.log))
}
