package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// ErrCID says that a text or a byte string is no CID that Dunlin uses.
var ErrCID = errors.New("not a CIDv1 of sha2-256 with codec dag-cbor or raw")

// Codec says how the bytes of a block are to be read.
type Codec uint64

// The codecs that Dunlin uses, with their multicodec numbers
// (https://github.com/multiformats/multicodec).
const (
	Raw     Codec = cid.Raw
	DagCBOR Codec = cid.DagCBOR
)

// CID is the content identifier of a block: CIDv1, sha2-256, [DagCBOR] or
// [Raw]. It is comparable and may be a map key. The zero CID names nothing.
type CID struct {
	c cid.Cid
}

// SumCID returns the CID of the block data under codec.
func SumCID(codec Codec, data []byte) CID {
	return Digest(sha256.Sum256(data)).CID(codec)
}

// ParseCID reads the text form of a CID, in any multibase. The error wraps
// [ErrCID].
func ParseCID(text string) (CID, error) {
	if len(text) > 128 {
		return CID{}, fmt.Errorf("%.16q…: %w", text, ErrCID)
	}
	c, err := cid.Decode(text)
	if err != nil {
		return CID{}, fmt.Errorf("%q: %w (%w)", text, ErrCID, err)
	}
	return wrapCID(c)
}

// CIDFromBytes reads the binary form of a CID, all of b. The error wraps
// [ErrCID].
func CIDFromBytes(b []byte) (CID, error) {
	if len(b) > 64 {
		return CID{}, fmt.Errorf("%d bytes: %w", len(b), ErrCID)
	}
	c, err := cid.Cast(b)
	if err != nil {
		return CID{}, fmt.Errorf("%x: %w (%w)", b, ErrCID, err)
	}
	return wrapCID(c)
}

func wrapCID(c cid.Cid) (CID, error) {
	p := c.Prefix()
	if p.Version != 1 || p.MhType != multihash.SHA2_256 || p.MhLength != sha256.Size ||
		(p.Codec != cid.Raw && p.Codec != cid.DagCBOR) {
		return CID{}, fmt.Errorf("%s: %w", c, ErrCID)
	}
	return CID{c}, nil
}

// Defined says whether c names a block.
func (c CID) Defined() bool { return c.c.Defined() }

// Codec returns the codec that c carries; 0 for the zero CID.
func (c CID) Codec() Codec {
	if !c.Defined() {
		return 0
	}
	return Codec(c.c.Prefix().Codec)
}

// Digest returns the sha2-256 inside c; the zero Digest for the zero CID.
func (c CID) Digest() (d Digest) {
	if c.Defined() {
		hash := []byte(c.c.Hash())
		copy(d[:], hash[len(hash)-len(d):])
	}
	return d
}

// Bytes returns the binary form of c, 36 bytes; nil for the zero CID.
func (c CID) Bytes() []byte { return c.c.Bytes() }

// String returns the usual text form of c in base32, "bafy…" or "bafk…"; empty
// for the zero CID.
func (c CID) String() string {
	if !c.Defined() {
		return ""
	}
	return c.c.String()
}

// Verify returns an error that wraps [ErrContent] unless c is the CID of data.
func (c CID) Verify(data []byte) error {
	if sum := SumCID(c.Codec(), data); sum != c {
		return fmt.Errorf("block %s: %w", c, ErrContent)
	}
	return nil
}

// MarshalText is String, for JSON and flags.
func (c CID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote, the empty text included.
func (c *CID) UnmarshalText(text []byte) (err error) {
	*c = CID{}
	if len(text) != 0 {
		*c, err = ParseCID(string(text))
	}
	return err
}

// MarshalCBOR writes c as a dag-cbor link: tag 42 around a zero byte and the
// binary form. The zero CID is no link and yields an error.
func (c CID) MarshalCBOR() ([]byte, error) {
	if !c.Defined() {
		return nil, fmt.Errorf("empty CID: %w", ErrCID)
	}
	return encoding.Marshal(cbor.Tag{Number: 42, Content: append([]byte{0}, c.Bytes()...)})
}

// UnmarshalCBOR reads a dag-cbor link.
func (c *CID) UnmarshalCBOR(b []byte) error {
	var tag cbor.RawTag
	if err := decoding.Unmarshal(b, &tag); err != nil {
		return err
	}
	var content []byte
	if err := decoding.Unmarshal(tag.Content, &content); err != nil {
		return err
	}
	if tag.Number != 42 || len(content) == 0 || content[0] != 0 {
		return fmt.Errorf("tag %d is no dag-cbor link: %w", tag.Number, ErrCID)
	}
	got, err := CIDFromBytes(content[1:])
	*c = got
	return err
}

// Digest is a sha2-256 of a chunk, a block or a file. It is comparable.
type Digest [sha256.Size]byte

// SumDigest returns the digest of data.
func SumDigest(data []byte) Digest { return sha256.Sum256(data) }

// CID returns the CID that names data of this digest under codec.
func (d Digest) CID(codec Codec) CID {
	hash := make([]byte, 0, 2+len(d))
	hash = append(hash, multihash.SHA2_256, sha256.Size)
	return CID{cid.NewCidV1(uint64(codec), append(hash, d[:]...))}
}

// String returns d in lower-case hexadecimal, as sha256sum prints it.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText is String, for JSON.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != 2*len(d) {
		return fmt.Errorf("digest of %d characters, want %d", len(text), 2*len(d))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// MarshalCBOR writes d as a byte string.
func (d Digest) MarshalCBOR() ([]byte, error) { return encoding.Marshal(d[:]) }

// UnmarshalCBOR reads a byte string of exactly 32 bytes.
func (d *Digest) UnmarshalCBOR(b []byte) error {
	var content []byte
	if err := decoding.Unmarshal(b, &content); err != nil {
		return err
	}
	if len(content) != len(d) {
		return fmt.Errorf("digest of %d bytes, want %d", len(content), len(d))
	}
	copy(d[:], content)
	return nil
}
