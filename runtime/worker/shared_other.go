//go:build unix && !linux

package worker

import (
	"errors"
	"os"
)

// transport is what Info().Worker says.
const transport = "socket"

// hasArenas tells whether tensors can lie in shared memory.
const hasArenas = false

func newShared(int64) (*os.File, error) { return nil, errors.ErrUnsupported }

func mapShared(*os.File, int64) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmapShared([]byte) error { return nil }
