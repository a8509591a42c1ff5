package trust

import "fmt"

// Head is a publisher's newest word, small enough to be gossiped: under 600
// bytes encoded for a publisher with one key.
type Head struct {
	Publisher Fingerprint `cbor:"publisher"`
	// Root is the version of the root under which Timestamp is signed, 1 to
	// MaxRoots. It is a hint: a wrong one makes the head useless, not harmful.
	Root int64 `cbor:"root"`
	// Timestamp is the publisher's timestamp as signed, JSON. Shared, not to
	// be changed.
	Timestamp []byte `cbor:"timestamp"`
}

// Encode returns h as canonical dag-cbor; the error wraps [ErrMalformed].
func (h Head) Encode() ([]byte, error) {
	if err := h.validate(); err != nil {
		return nil, err
	}
	return encode(h, MaxHeadBytes)
}

// DecodeHead reads what Encode wrote and nothing else; the error wraps
// [ErrMalformed]. It checks form and bounds, not signatures: see
// [Registry.CheckHead].
func DecodeHead(data []byte) (Head, error) {
	var h Head
	if err := decode(data, &h, MaxHeadBytes); err != nil {
		return Head{}, fmt.Errorf("head: %w", err)
	}
	return h, h.validate()
}

func (h Head) validate() error {
	if h.Root < 1 || h.Root > MaxRoots || len(h.Timestamp) == 0 {
		return fmt.Errorf("head of %s: %w: root version %d, timestamp of %d bytes", h.Publisher, ErrMalformed, h.Root, len(h.Timestamp))
	}
	return nil
}

// Verdict says what a head is to this node.
type Verdict int

// The verdicts of [Registry.CheckHead]. Only HeadNew and HeadSame have been
// verified as this publisher's and worth passing on.
const (
	// HeadInvalid comes with an error.
	HeadInvalid Verdict = iota
	// HeadNew is genuine and newer than what is held: fetch the update.
	HeadNew
	// HeadSame is what is held.
	HeadSame
	// HeadOld is genuine and older than what is held: tell the peer.
	HeadOld
	// HeadUnknown is of a publisher that is not pinned here; nothing is known
	// about it.
	HeadUnknown
	// HeadNeedsRoot names a newer root than is held, so it cannot be judged
	// before an update has been fetched; do not pass it on before.
	HeadNeedsRoot
)

// String returns a word for logs.
func (v Verdict) String() string {
	switch v {
	case HeadNew:
		return "new"
	case HeadSame:
		return "same"
	case HeadOld:
		return "old"
	case HeadUnknown:
		return "unknown"
	case HeadNeedsRoot:
		return "needs_root"
	default:
		return "invalid"
	}
}
