package main

import (
	"context"
	"time"
)

// system is a way to bring a file from the publisher to every node.
//
// Calls come in this order: start, any number of update and use, stop, which is
// always called.
type system interface {
	// start brings everything up, with the old file at every node, and returns
	// when it is there; old may be nil. Uplinks have no bound.
	start(ctx context.Context, b *bed, w work, old []byte) error
	// update brings the updated file to every node, and checks that it is what
	// they hold. It calls arrived, from any goroutine, as soon as a node holds it:
	// once for each of b.takers, by its index.
	update(ctx context.Context, b *bed, w work, updated []byte, arrived func(taker int)) error
	// use tells what the processes of each node took so far: CPU and peak of
	// memory.
	use(b *bed) ([]use, error)
	// stop ends every process.
	stop() error
}

// use is what the processes of one node took.
type use struct {
	Name string        `json:"name"`
	CPU  time.Duration `json:"cpu_ns"`
	Peak int64         `json:"peak_bytes"` // resident, of the largest process

	// Of dunlin: bytes that came for chunks, blocks and deltas, from within the
	// site too, and those of chunks that were there already.
	Came       int64 `json:"came_bytes,omitempty"`
	Duplicates int64 `json:"duplicate_bytes,omitempty"`
}
