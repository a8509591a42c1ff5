package trust

import "errors"

// What may go wrong, and what the caller may do about it. Errors of this
// package wrap exactly one of these or manifest.ErrName, or come from the file
// system.
var (
	// ErrMalformed: bytes are not metadata, head or update of the strict form,
	// or are out of bounds. Whoever sent them is broken or hostile.
	ErrMalformed = errors.New("malformed trust metadata")
	// ErrForged: a signature, threshold, digest or fingerprint does not hold.
	// Whoever sent it is broken or hostile.
	ErrForged = errors.New("not signed by the pinned publisher")
	// ErrMismatch: the documents of an update do not belong together, or one
	// is missing. Ask somebody else.
	ErrMismatch = errors.New("metadata does not fit together")
	// ErrPartial: an update leaves out what this node should hold already, and
	// what it does hold does not fit. Either the publisher has contradicted
	// itself and this node is on the other side, or the peer made it up: ask
	// the same peer for everything, with a Have of nothing but the root.
	ErrPartial = errors.New("update does not build on what is held here")
	// ErrRollback: genuine, but older than what is believed already. Nothing
	// to do; the peer that sent it may lag behind.
	ErrRollback = errors.New("older than what is already trusted")
	// ErrEquivocation: the publisher signed two contents under one version or
	// sequence. The first one stays; both are kept, see Registry.Evidence. The
	// peer that brought it is not to blame. Only the publisher can end this, by
	// signing newer versions.
	ErrEquivocation = errors.New("publisher signed two contents under one version")
	// ErrExpired: genuine, but too old for this node's policy. What was
	// believed before stays. Wait for newer metadata or relax the policy.
	ErrExpired = errors.New("metadata has expired")
	// ErrUnknown: no such publisher is pinned, or it has no such model or
	// version.
	ErrUnknown = errors.New("not known here")
	// ErrPinned: a pin contradicts another one. Unpin that one first, after
	// asking the publisher for the right fingerprint.
	ErrPinned = errors.New("another publisher is pinned under this name")
	// ErrState: a state file cannot be read or written, so what is believed of
	// this publisher is uncertain. The message names the file and says what to
	// do; other publishers stay usable.
	ErrState = errors.New("trust state is unusable")
	// ErrConflict: a signer was asked to contradict what it signed before.
	// Choose another version.
	ErrConflict = errors.New("contradicts an earlier signature")
	// ErrMoved: the keys were brought here from another node, so what this folder
	// remembers may be older than what the publisher signed last. Reconcile with
	// a node that pins the publisher, Adopt what that brings, then Settle.
	ErrMoved = errors.New("the publisher signed on another node last")
	// ErrExists: the folder holds a publisher already; keys are never
	// overwritten.
	ErrExists = errors.New("a publisher exists here already")
	// ErrLocked: another process uses this folder of keys.
	ErrLocked = errors.New("in use by another process")
)

// Hostile says whether err, from CheckHead, Apply or a decoder, is the fault
// of the peer that sent the bytes, so that it may be penalised. Everything
// else is an innocent peer's: lag, expiry, the publisher's own equivocation.
func Hostile(err error) bool {
	return errors.Is(err, ErrMalformed) || errors.Is(err, ErrForged) || errors.Is(err, ErrMismatch)
}
