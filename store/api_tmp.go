package store

import (
	"context"
	"errors"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const indexReserveBytes = 8 << 20

var errLater = errors.New("store: not written yet")

// Store is an open store. All methods may be called at the same time.
type Store struct{}

// Staged is what [Store.Stage] made ready; hand it to Adopt or Discard it.
type Staged struct {
	Files []StagedFile // in order of Path
}

// Discard deletes the staged copies (never files in place). After Adopt it does nothing.
func (st *Staged) Discard() error { return errLater }

// Open opens or makes the store in c.Dir. Errors: ErrLocked, ErrIndex.
func Open(c Config) (*Store, error) { return nil, errLater }

// Close makes everything durable and closes the store.
func (s *Store) Close() error { return errLater }

// PutBlock stores a block under its CID, which is checked.
func (s *Store) PutBlock(b manifest.Block) error { return errLater }

// Block returns a block, compared with its CID. Errors: ErrNotHeld.
func (s *Store) Block(c manifest.CID) ([]byte, error) { return nil, errLater }

// Begin makes a release's folder and files; the blocks must be held. The golden
// set and report are always included. Idempotent. Errors: ErrNotHeld (a block), ErrFull, ErrMismatch.
func (s *Store) Begin(ctx context.Context, r Release, variants []string) error { return errLater }

// Held returns the durable chunks of the file. Errors: ErrNotHeld (no such file begun).
func (s *Store) Held(id manifest.FileID) (manifest.Ranges, error) { return nil, errLater }

// Chunk appends nothing: it reads chunk i into buf (grown if too short), verified. Errors: ErrNotHeld, ErrCorrupt.
func (s *Store) Chunk(ctx context.Context, id manifest.FileID, i int, buf []byte) ([]byte, error) {
	return nil, errLater
}

// PutChunk stores chunk i. Errors: ErrNotHeld (not begun), ErrMismatch, ErrFull.
func (s *Store) PutChunk(ctx context.Context, id manifest.FileID, i int, data []byte) error {
	return errLater
}

// Flush waits until everything put so far is durable.
func (s *Store) Flush(ctx context.Context) error { return errLater }

// Complete says whether all chunks of the variant are held.
func (s *Store) Complete(m manifest.CID, variant string) (bool, error) { return false, errLater }

// Verify reads the variant's files whole and compares them with the manifest. Errors: ErrCorrupt, ErrNotHeld (incomplete).
func (s *Store) Verify(ctx context.Context, m manifest.CID, variant string, progress func(bytes int64)) error {
	return errLater
}

// Locate says where the variant's files lie.
func (s *Store) Locate(m manifest.CID, variant string) (Location, error) { return Location{}, errLater }

// Releases lists what is here, in order of model, then sequence.
func (s *Store) Releases() ([]ReleaseState, error) { return nil, errLater }

// Stage makes a file or folder ready for publishing.
func (s *Store) Stage(ctx context.Context, path string, inPlace bool) (*Staged, error) {
	return nil, errLater
}

// Adopt makes staged files the release's variant (or Golden, Report); durable on return.
func (s *Store) Adopt(ctx context.Context, st *Staged, r Release, variant string, blocks []manifest.Block) error {
	return errLater
}

// Pin adds a reason to keep the release.
func (s *Store) Pin(m manifest.CID, p Pin) error { return errLater }

// Unpin takes it away.
func (s *Store) Unpin(m manifest.CID, p Pin) error { return errLater }

// SetWant persists that this node means to have the release.
func (s *Store) SetWant(r Release) error { return errLater }

// ClearWant ends that; no error if there was none.
func (s *Store) ClearWant(m manifest.CID) error { return errLater }

// Wants lists the wants in order of model, then sequence.
func (s *Store) Wants() []Release { return nil }

// Remove takes a release away. Errors: ErrNotHeld, ErrPinned.
func (s *Store) Remove(m manifest.CID) error { return errLater }

// GC takes away what nothing needs.
func (s *Store) GC(ctx context.Context) (GCReport, error) { return GCReport{}, errLater }

// Fsck reads and compares everything that is held.
func (s *Store) Fsck(ctx context.Context, o FsckOptions) (FsckReport, error) {
	return FsckReport{}, errLater
}

// Usage says what the store takes of the disk.
func (s *Store) Usage() (Usage, error) { return Usage{}, errLater }

// Rebuild makes the index of a closed store again from its files.
func Rebuild(ctx context.Context, c Config, o FsckOptions) (FsckReport, error) {
	return FsckReport{}, errLater
}
