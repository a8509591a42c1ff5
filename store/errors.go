package store

import "errors"

// What a caller may do about a failure. Errors of this package wrap at most
// one of these; anything else is a failure of the machine (the error names the
// file) and trying again without change is of little use.
var (
	// ErrNotHeld says that a block, chunk, file or release is not here: fetch
	// it, or begin the release first.
	ErrNotHeld = errors.New("not held")
	// ErrCorrupt says that bytes on disk are not what they were. They are
	// marked missing already: fetch them again.
	ErrCorrupt = errors.New("corrupt on disk")
	// ErrFull says that the disk or the quota has no room; the text says how
	// much is needed and how much is free. Nothing that was held is lost: make
	// room and go on.
	ErrFull = errors.New("no room")
	// ErrLocked says that another process has the store open: stop it first,
	// or talk to it.
	ErrLocked = errors.New("locked by another process")
	// ErrIndex says that the index cannot be used: run `dunlin fsck --rebuild`,
	// which is [Rebuild].
	ErrIndex = errors.New("index is damaged or missing: run `dunlin fsck --rebuild`")
	// ErrPinned says that a release is pinned, wanted or being written, and so
	// is not removed: unpin it or clear the want first.
	ErrPinned = errors.New("release is in use")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrMismatch says that what the caller gives does not fit the manifest or
	// its digests: a wrong chunk, an unknown variant, a staged file of another
	// size. Trying again with the same bytes is of no use.
	ErrMismatch = errors.New("does not fit the manifest")
)
