package transfer

import "errors"

var (
	// ErrStore says that the own store did not take what arrived: it is full or
	// broken. The store's error is wrapped beside it. What was stored before
	// stays; make room or repair, then fetch again.
	ErrStore = errors.New("store does not take what arrived")
	// ErrManifest says that the release's own blocks contradict each other:
	// its publisher made it wrong, and no retry or other peer helps.
	ErrManifest = errors.New("release is inconsistent")
	// ErrConfig says which field of [Config] or [Job] is wrong.
	ErrConfig = errors.New("invalid transfer configuration or job")
	// ErrStopped says that [Transfer.Run] has ended or Fetch was called before
	// it began; call again while Run runs.
	ErrStopped = errors.New("transfer does not run")
)

// What a peer did wrong; the error given to [Config.OnBadPeer] wraps one of
// these.
var (
	// ErrCorrupt says that a peer sent bytes that do not match their digest.
	ErrCorrupt = errors.New("peer sent wrong bytes")
	// ErrProtocol says that a peer broke the protocol: malformed, oversized or
	// unasked messages.
	ErrProtocol = errors.New("peer broke the transfer protocol")
	// ErrStalled says that a peer owed an answer and made no progress.
	ErrStalled = errors.New("peer made no progress")
)
