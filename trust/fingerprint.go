package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Fingerprint names a publisher for ever, through every rotation of its keys:
// the sha256 of the bytes of its root version 1. It is comparable. The zero
// Fingerprint names nobody.
type Fingerprint [sha256.Size]byte

// SumFingerprint returns the fingerprint of root, the bytes of root version 1.
func SumFingerprint(root []byte) Fingerprint { return sha256.Sum256(root) }

// ParseFingerprint reads 64 hexadecimal digits, in either case, perhaps after
// "sha256:". The error wraps [ErrMalformed].
func ParseFingerprint(text string) (f Fingerprint, err error) {
	digits := strings.TrimPrefix(text, "sha256:")
	if len(digits) != 2*len(f) {
		return Fingerprint{}, fmt.Errorf("%w: fingerprint %.80q has %d digits, want %d", ErrMalformed, text, len(digits), 2*len(f))
	}
	if _, err := hex.Decode(f[:], []byte(digits)); err != nil {
		return Fingerprint{}, fmt.Errorf("%w: fingerprint %.80q: %w", ErrMalformed, text, err)
	}
	return f, nil
}

// String returns 64 lower-case hexadecimal digits, which is also what
// sha256sum prints for the exported root file.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// MarshalText is String, for JSON and flags.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is ParseFingerprint.
func (f *Fingerprint) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFingerprint(string(text))
	return err
}

// MarshalCBOR writes f as a byte string.
func (f Fingerprint) MarshalCBOR() ([]byte, error) { return manifest.Digest(f).MarshalCBOR() }

// UnmarshalCBOR reads a byte string of exactly 32 bytes.
func (f *Fingerprint) UnmarshalCBOR(b []byte) error { return (*manifest.Digest)(f).UnmarshalCBOR(b) }

func (f Fingerprint) compare(other Fingerprint) int { return bytes.Compare(f[:], other[:]) }
