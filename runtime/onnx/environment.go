//go:build cgo && (linux || darwin)

package onnx

import (
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// environment is ONNX Runtime's state in this process. The binding keeps one
// environment in variables of its own, so this can be no field of an engine;
// it is created by the first load and lives until the process ends.
var environment struct {
	mu   sync.Mutex
	path string // library of the environment; empty: not created yet
}

// openLibrary opens the library at path and creates the environment, once per
// process. Later calls with the same path do nothing; a failed one may be tried
// again.
func openLibrary(path string) error {
	environment.mu.Lock()
	defer environment.mu.Unlock()
	switch environment.path {
	case path:
		return nil
	case "":
	default:
		return fmt.Errorf("this process runs %s already, it cannot open %s too", environment.path, path)
	}
	ort.SetSharedLibraryPath(path)
	// Everything worth telling comes back as an error; the library's own log
	// would go to stderr around the node's logger.
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("open %s (version 1.24 or later is needed): %w", path, err)
	}
	environment.path = path
	// Nothing leaves a node but what its operator asked for.
	return ort.DisableTelemetry()
}
