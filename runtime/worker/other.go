//go:build !unix

package worker

import (
	"context"
	"errors"
	"fmt"
	"io"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// New returns an error that wraps runtime.ErrNoRuntime: workers are connected by
// sockets that this operating system does not have.
func New(Config) (modelrt.Engine, error) {
	return nil, modelrt.NoRuntime(errors.New("worker processes need a Unix system"))
}

// Main says that it cannot work here.
func Main(_ context.Context, _ modelrt.Engine, stderr io.Writer) int {
	fmt.Fprintln(stderr, "worker processes need a Unix system")
	return 1
}
