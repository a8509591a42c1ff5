package onnx

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Config configures the engine; the zero value is good.
type Config struct {
	// LibraryPath is the absolute path of the shared library. Default: found as
	// the package comment tells.
	LibraryPath string
	// IntraOpThreads bounds the threads that work on one operator, per session.
	// Default 0: one per physical core, as ONNX Runtime decides.
	IntraOpThreads int
	// InterOpThreads bounds the operators of one run that are computed side by
	// side. Default 0 and 1: one after another.
	InterOpThreads int
	// Provider is the execution provider of this engine's sessions; nodes of a
	// graph that it does not take are left to the CPU, as ONNX Runtime does.
	// Default: CPU.
	Provider modelrt.Provider
	// ProviderOptions are handed to the provider as they are, over what this
	// package sets: OpenVINO device_type=CPU, TensorRT its caches. At most 64.
	ProviderOptions map[string]string
	// CacheDir is the absolute path of a folder for what this provider compiles, such
	// as TensorRT engines; it is made when a provider first needs it, and whoever
	// owns it may remove it while no session is being loaded. Default: no cache.
	CacheDir string
}

// maxThreads is far above any machine, and below what would exhaust it.
const maxThreads = 1024

const maxProviderOptions = 64

// Validate refuses relative paths, thread counts outside 0 to 1024, providers
// without a name here and more options than a provider has.
func (c Config) Validate() error {
	if c.LibraryPath != "" && !filepath.IsAbs(c.LibraryPath) {
		return fmt.Errorf("onnx config: library path %q is not absolute", c.LibraryPath)
	}
	for _, n := range []int{c.IntraOpThreads, c.InterOpThreads} {
		if n < 0 || n > maxThreads {
			return fmt.Errorf("onnx config: %d threads is not within 0 and %d", n, maxThreads)
		}
	}
	if c.CacheDir != "" && !filepath.IsAbs(c.CacheDir) {
		return fmt.Errorf("onnx config: cache folder %q is not absolute", c.CacheDir)
	}
	if c.Provider != "" && !slices.Contains(modelrt.Providers(), c.Provider) {
		return fmt.Errorf("onnx config: execution provider %.40q is none of %v", c.Provider, modelrt.Providers())
	}
	if len(c.ProviderOptions) > maxProviderOptions {
		return fmt.Errorf("onnx config: %d provider options, at most %d", len(c.ProviderOptions), maxProviderOptions)
	}
	return nil
}

// provider returns the provider with its default.
func (c Config) provider() modelrt.Provider { return cmp.Or(c.Provider, modelrt.CPU) }
