package node

import (
	"errors"
	"fmt"
	"slices"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	childlimit "github.com/dunlin-mesh/dunlin/runtime/limit"
)

// EngineConfig says how this node runs models.
type EngineConfig struct {
	// Providers are the execution providers that it may use, the liked ones first,
	// by name as `dunlin profile --node` shows them. A variant runs on the first
	// that it allows and that works here. Default: CPU. The library must have
	// them, see onnx_runtime.
	Providers []string `json:"providers,omitempty"`
	// Worker runs every loaded model in a process of its own, which may crash
	// without harm to the node. It costs some tens of microseconds per request
	// and a process per model. Default false: models run in the node's process.
	Worker bool `json:"worker,omitempty"`
	// MemoryBytes bounds the memory of each worker, model and all; a worker that
	// takes more is killed and started again. At least 16 MiB, 0 for no bound;
	// only with Worker, and only on Linux.
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	// Nice lowers the priority of workers, 0 to 19; only with Worker.
	Nice int `json:"nice,omitempty"`
}

// Order returns the providers, the liked ones first, the CPU alone where none is
// named. The configuration has been checked.
func (c EngineConfig) Order() []modelrt.Provider {
	var order []modelrt.Provider
	for _, text := range c.Providers {
		if p, err := modelrt.ParseProvider(text); err == nil && !slices.Contains(order, p) {
			order = append(order, p)
		}
	}
	if order == nil {
		order = []modelrt.Provider{modelrt.CPU}
	}
	return order
}

// validate names the first field that is wrong.
func (c EngineConfig) validate() error {
	if len(c.Providers) > len(modelrt.Providers()) {
		return fmt.Errorf("engine.providers: %d of them, at most %d", len(c.Providers), len(modelrt.Providers()))
	}
	for _, text := range c.Providers {
		if _, err := modelrt.ParseProvider(text); err != nil {
			return fmt.Errorf("engine.providers: %w", err)
		}
	}
	if !c.Worker && c.Limits() != (childlimit.Limits{}) {
		return errors.New("engine: memory_bytes and nice bound worker processes: set worker, too")
	}
	if err := c.Limits().Validate(); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return nil
}

// Limits returns what bounds each worker process.
func (c EngineConfig) Limits() childlimit.Limits {
	return childlimit.Limits{MemoryBytes: c.MemoryBytes, Nice: c.Nice}
}
