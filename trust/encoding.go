package trust

import (
	"fmt"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Bounds of what a peer may send and of what a publisher may sign.
const (
	// MaxHeadBytes bounds an encoded Head. A publisher with one key makes heads
	// of about 470 bytes; several signatures need more.
	MaxHeadBytes = 1024
	// MaxHaveBytes bounds an encoded Have.
	MaxHaveBytes = 256
	// MaxUpdateBytes bounds an encoded Update, and so all the metadata of one
	// publisher together.
	MaxUpdateBytes = 16 << 20
	// MaxRootBytes and MaxTimestampBytes bound one document of that role.
	MaxRootBytes      = 64 << 10
	MaxTimestampBytes = 64 << 10
	// MaxDocumentBytes bounds a snapshot, the top-level targets or the role of
	// a model.
	MaxDocumentBytes = 1 << 20
	// MaxRoots bounds a chain of roots: a publisher can rotate its keys 1023
	// times.
	MaxRoots = 1024
	// MaxModels bounds the models (delegations) of one publisher.
	MaxModels = 4096
	// MaxReleases bounds the releases that the role of a model lists at once;
	// Signer keeps KeptReleases of them.
	MaxReleases = 64
	// MaxSignatures bounds the signatures of a document and the keys of a role.
	MaxSignatures = 64
	// MaxVersion bounds versions of documents and sequences: exact in every
	// JSON implementation (RFC 8259 §6).
	MaxVersion = 1<<53 - 1
)

// encode writes v as canonical dag-cbor of at most limit bytes.
func encode(v any, limit int) ([]byte, error) {
	data, err := manifest.Marshal(v, limit)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return data, nil
}

// decode reads canonical dag-cbor of at most limit bytes into v, a pointer.
// What would not re-encode to the same bytes is refused.
func decode(data []byte, v any, limit int) error {
	if err := manifest.Unmarshal(data, v, limit); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
