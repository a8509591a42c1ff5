package transfer

import (
	"context"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Holder is what a node can give to others. All methods are safe for
// concurrent use.
type Holder interface {
	// Block returns the bytes of a block, verified against its CID. Any error
	// means that the block cannot be given now; it is then asked of peers.
	// The caller does not change the bytes.
	Block(manifest.CID) ([]byte, error)
	// Held returns the chunks of the file that can be read, which is the empty
	// set for a file that is not known. It must be cheap: it is asked again
	// whenever chunks arrive.
	Held(manifest.FileID) (manifest.Ranges, error)
	// Chunk returns the bytes of chunk i of the file, verified against its
	// digest, in buf if that has room. Any error means that the chunk cannot be
	// given now.
	Chunk(ctx context.Context, id manifest.FileID, i int, buf []byte) ([]byte, error)
}

// Keeper takes what arrived. All methods are safe for concurrent use.
type Keeper interface {
	// PutBlock stores a block, whose CID was verified.
	PutBlock(manifest.Block) error
	// PutChunk compares data with the digest of chunk i of the file and stores
	// it. Bytes that do not match are refused with an error that wraps
	// manifest.ErrContent; the peer that sent them is then left alone. PutChunk
	// may return before the chunk is durable, keeps no reference to data, and
	// may block to bound what is not durable yet. Any other error ends the
	// fetch: the store is full or broken.
	PutChunk(ctx context.Context, id manifest.FileID, i int, data []byte) error
	// Flush returns when everything put before is durable and readable.
	Flush(ctx context.Context) error
}

// Store is both sides; package store has the real one.
type Store interface {
	Holder
	Keeper
}
