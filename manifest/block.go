package manifest

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Bounds of what a peer may send. A block fits into one message of every IPFS
// implementation (bitswap's limit is 2 MiB).
const (
	MaxBlockBytes = 2 << 20
	maxNesting    = 16
	maxElements   = 1 << 18
	maxPairs      = 256
)

var (
	// ErrContent says that bytes are not what their CID or digest names: drop
	// them and ask somebody else.
	ErrContent = errors.New("content does not match its digest")
	// ErrFormat says that a block is malformed, not canonical or out of
	// bounds: no retry helps, the block itself is bad.
	ErrFormat = errors.New("malformed block")
)

// Block is a run of bytes with its name. Data is shared, not to be changed.
type Block struct {
	CID  CID
	Data []byte
}

// Validator is what every structured block is: it checks its own bounds and
// cross references, and returns what is wrong first.
type Validator interface {
	Validate() error
}

var (
	encoding = mustEncMode()
	decoding = mustDecMode()
)

func mustEncMode() cbor.EncMode {
	mode, err := cbor.EncOptions{
		Sort:          cbor.SortLengthFirst,
		ShortestFloat: cbor.ShortestFloatNone,
		NaNConvert:    cbor.NaNConvertReject,
		InfConvert:    cbor.InfConvertReject,
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
		MaxNestedLevels:   maxNesting,
		MaxArrayElements:  maxElements,
		MaxMapPairs:       maxPairs,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err) // as above
	}
	return mode
}

// Marshal writes v as canonical dag-cbor of at most limit bytes, for messages
// that are no blocks. The error wraps [ErrFormat].
func Marshal(v any, limit int) ([]byte, error) {
	data, err := encoding.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w: %w", ErrFormat, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("encode: %w: %d bytes, at most %d allowed", ErrFormat, len(data), limit)
	}
	return data, nil
}

// Unmarshal reads canonical dag-cbor of at most limit bytes into v, a pointer.
// Data that would not re-encode to the same bytes, has unknown fields or is out
// of bounds is refused with an error that wraps [ErrFormat]; v is then
// undefined.
func Unmarshal(data []byte, v any, limit int) error {
	if len(data) > limit {
		return fmt.Errorf("decode: %w: %d bytes, at most %d allowed", ErrFormat, len(data), limit)
	}
	if err := decoding.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode: %w: %w", ErrFormat, err)
	}
	again, err := encoding.Marshal(v)
	if err != nil {
		return fmt.Errorf("decode: %w: %w", ErrFormat, err)
	}
	if !bytes.Equal(again, data) {
		return fmt.Errorf("decode: %w: not canonical dag-cbor", ErrFormat)
	}
	return nil
}

// Encode writes v, a pointer to one of this module's structured types, as a
// canonical dag-cbor block. It refuses what Decode would refuse; the error
// then wraps [ErrFormat].
func Encode(v Validator) (Block, error) {
	if err := v.Validate(); err != nil {
		return Block{}, fmt.Errorf("encode: %w: %w", ErrFormat, err)
	}
	data, err := Marshal(v, MaxBlockBytes)
	if err != nil {
		return Block{}, err
	}
	return Block{CID: SumCID(DagCBOR, data), Data: data}, nil
}

// Decode is Unmarshal of a block of at most [MaxBlockBytes] into v, a pointer
// to the type that is expected there, and validates it. It does not check the
// CID: see [CID.Verify].
func Decode(data []byte, v Validator) error {
	if err := Unmarshal(data, v, MaxBlockBytes); err != nil {
		return err
	}
	if err := v.Validate(); err != nil {
		return fmt.Errorf("decode: %w: %w", ErrFormat, err)
	}
	return nil
}
