package onnx

import (
	"fmt"
	"path/filepath"
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
}

// maxThreads is far above any machine, and below what would exhaust it.
const maxThreads = 1024

// Validate refuses relative paths and thread counts outside 0 to 1024.
func (c Config) Validate() error {
	if c.LibraryPath != "" && !filepath.IsAbs(c.LibraryPath) {
		return fmt.Errorf("onnx config: library path %q is not absolute", c.LibraryPath)
	}
	for _, n := range []int{c.IntraOpThreads, c.InterOpThreads} {
		if n < 0 || n > maxThreads {
			return fmt.Errorf("onnx config: %d threads is not within 0 and %d", n, maxThreads)
		}
	}
	return nil
}
