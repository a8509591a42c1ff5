package node

import (
	"fmt"
	"slices"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// EngineConfig says how this node runs models.
type EngineConfig struct {
	// Providers are the execution providers that it may use, the liked ones first,
	// by name as `dunlin profile --node` shows them. A variant runs on the first
	// that it allows and that works here. Default: CPU. The library must have
	// them, see onnx_runtime.
	Providers []string `json:"providers,omitempty"`
}

// providers returns the providers in their order; Validate has found no error.
func (c EngineConfig) providers() []modelrt.Provider {
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
	return nil
}
