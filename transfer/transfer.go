package transfer

import (
	"context"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// ProtocolID names the protocol on libp2p.
const ProtocolID = "/dunlin/transfer/1"

// Transfer fetches from peers and serves them. Make it with [New], run it with
// [Transfer.Run]; all methods are safe for concurrent use.
type Transfer struct {
	cfg Config
}

// New checks cfg and returns a Transfer that does nothing before Run. The
// error wraps [ErrConfig].
func New(cfg Config) (*Transfer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Transfer{cfg: cfg}, nil
}

// Run serves peers until ctx ends. It returns nil when every session, served
// or fetched from, has ended; no goroutine is left.
func (t *Transfer) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Job is one release to be fetched.
type Job struct {
	// Release is the CID of the manifest, for logs and errors.
	Release manifest.CID
	// Files are those to be completed; their layout and digest blocks must be
	// in the store ([Transfer.Trees]) and the store must be ready to take their
	// chunks (store.Begin).
	Files []manifest.File
	// Progress, if set, is called at most ten times a second and once at the
	// end, from one goroutine at a time. It must not block.
	Progress func(Progress)
}

// Fetch gets all chunks of job that the store does not hold, from all connected
// peers that hold some, and flushes the store. Peers may come and go: it waits
// for them and returns only when all is stored, ctx has ended (its error is
// wrapped), or with ErrStore or ErrManifest.
func (t *Transfer) Fetch(ctx context.Context, job Job) error { return ErrStopped }

// Blocks gets those of the blocks that the store does not hold, verifies and
// stores them. It waits for peers as Fetch does.
func (t *Transfer) Blocks(ctx context.Context, cids []manifest.CID) error { return ErrStopped }

// Trees gets the layout and digest blocks of the files that the store does not
// hold, level by level, and checks that they fit each other. It waits for
// peers as Fetch does. Call it before store.Begin and [Transfer.Fetch].
func (t *Transfer) Trees(ctx context.Context, files []manifest.File) error { return ErrStopped }

// Changed says that the store came to hold, or lost, chunks of the file by
// other means than Fetch; peers that wait for them are told.
func (t *Transfer) Changed(id manifest.FileID) {}

// Stats returns the figures now.
func (t *Transfer) Stats() Stats { return Stats{} }
