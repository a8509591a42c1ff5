//go:build unix && !(cgo && (linux || darwin))

package worker_test

import modelrt "github.com/dunlin-mesh/dunlin/runtime"

// workerEngine is the engine that a worker which tests start loads models with.
func workerEngine([]string) modelrt.Engine { return misbehaving() }
