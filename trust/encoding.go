package trust

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"
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

var (
	encoding = mustEncMode()
	decoding = mustDecMode()
)

func mustEncMode() cbor.EncMode {
	mode, err := cbor.EncOptions{
		Sort:          cbor.SortLengthFirst,
		NilContainers: cbor.NilContainerAsEmpty,
		IndefLength:   cbor.IndefLengthForbidden,
	}.EncMode()
	if err != nil {
		panic(err) // constant options: only a wrong edit above gets here
	}
	return mode
}

func mustDecMode() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		MaxNestedLevels:   8,
		MaxArrayElements:  1 << 17,
		MaxMapPairs:       64,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		TagsMd:            cbor.TagsForbidden,
	}.DecMode()
	if err != nil {
		panic(err) // as above
	}
	return mode
}

// encode writes v as canonical dag-cbor of at most limit bytes.
func encode(v any, limit int) ([]byte, error) {
	data, err := encoding.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%w: encode: %w", ErrMalformed, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%w: encode: %d bytes, at most %d allowed", ErrMalformed, len(data), limit)
	}
	return data, nil
}

// decode reads canonical dag-cbor of at most limit bytes into v, a pointer.
// What would not re-encode to the same bytes is refused.
func decode(data []byte, v any, limit int) error {
	if len(data) > limit {
		return fmt.Errorf("%w: decode: %d bytes, at most %d allowed", ErrMalformed, len(data), limit)
	}
	if err := decoding.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: decode: %w", ErrMalformed, err)
	}
	again, err := encoding.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: decode: %w", ErrMalformed, err)
	}
	if !bytes.Equal(again, data) {
		return fmt.Errorf("%w: decode: not canonical dag-cbor", ErrMalformed)
	}
	return nil
}
