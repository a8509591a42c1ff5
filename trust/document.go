package trust

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// document is one signed document, decoded and checked for form. Whether its
// signatures hold is not its business. It is immutable.
type document[T metadata.Roles] struct {
	facts
	meta *metadata.Metadata[T]
}

// facts are what all documents have.
type facts struct {
	data    []byte // as signed and sent
	version int64
	expires time.Time
	// payload is the digest of the signed part. Signatures may differ between
	// two spellings of one content, so contents are compared by it.
	payload [sha256.Size]byte
}

// decodeDocument reads a document of type T in the strict form. What it
// accepts re-encodes byte for byte, so go-tuf verifies exactly data.
func decodeDocument[T metadata.Roles](data []byte, limit int, what string) (*document[T], error) {
	if len(data) > limit {
		return nil, fmt.Errorf("%s: %w: %d bytes, at most %d allowed", what, ErrMalformed, len(data), limit)
	}
	signed, err := splitCanonical(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	meta, err := new(metadata.Metadata[T]).FromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, asMalformed(err))
	}
	again, err := meta.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, asMalformed(err))
	}
	if !bytes.Equal(again, data) {
		return nil, fmt.Errorf("%s: %w: has missing, unsigned or doubtful fields", what, ErrMalformed)
	}
	d := &document[T]{facts: facts{data: data, payload: sha256.Sum256(signed)}, meta: meta}
	var spec string
	switch s := any(&meta.Signed).(type) {
	case *metadata.RootType:
		d.version, d.expires, spec = s.Version, s.Expires, s.SpecVersion
	case *metadata.TimestampType:
		d.version, d.expires, spec = s.Version, s.Expires, s.SpecVersion
	case *metadata.SnapshotType:
		d.version, d.expires, spec = s.Version, s.Expires, s.SpecVersion
	case *metadata.TargetsType:
		d.version, d.expires, spec = s.Version, s.Expires, s.SpecVersion
	}
	switch {
	case d.version < 1:
		err = fmt.Errorf("version %d", d.version)
	case !strings.HasPrefix(spec, "1."):
		err = fmt.Errorf("spec_version %q is not 1.x: a newer Dunlin may read it", spec)
	case len(meta.UnrecognizedFields) != 0:
		err = errors.New("unsigned fields")
	case len(meta.Signatures) == 0 || len(meta.Signatures) > MaxSignatures:
		err = fmt.Errorf("%d signatures, want 1 to %d", len(meta.Signatures), MaxSignatures)
	}
	for _, sig := range meta.Signatures {
		if len(sig.UnrecognizedFields) != 0 || len(sig.Signature) != 64 {
			err = fmt.Errorf("signature by key %.80q is no plain ed25519 signature", sig.KeyID)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", what, ErrMalformed, err)
	}
	return d, nil
}

// tufHash returns the sha256 by which m names a document. TUF makes it
// optional; we insist, so that a timestamp commits to everything.
func tufHash(m *metadata.MetaFiles, what string) (h [sha256.Size]byte, err error) {
	if m == nil {
		return h, fmt.Errorf("%w: no entry for %s", ErrMalformed, what)
	}
	if len(m.Hashes) != 1 || len(m.Hashes["sha256"]) != len(h) || m.Version < 1 || m.Length < 0 {
		return h, fmt.Errorf("%w: entry for %s has no version or not exactly one sha256", ErrMalformed, what)
	}
	copy(h[:], m.Hashes["sha256"])
	return h, nil
}

// checkKeys checks that every key is a plain ed25519 key and that no two
// labels name the same key. go-tuf would hand a key of the wrong length to
// ed25519.Verify, which panics on it.
func checkKeys(keys map[string]*metadata.Key) error {
	if len(keys) > MaxModels {
		return fmt.Errorf("%w: %d keys", ErrMalformed, len(keys))
	}
	seen := make(map[string]string, len(keys))
	for id, k := range keys {
		if k == nil || k.Type != metadata.KeyTypeEd25519 || k.Scheme != metadata.KeySchemeEd25519 {
			return fmt.Errorf("%w: key %.80q is not ed25519", ErrMalformed, id)
		}
		if len(k.Value.PublicKey) != 64 || strings.Trim(k.Value.PublicKey, "0123456789abcdef") != "" {
			return fmt.Errorf("%w: key %.80q is not 64 lower-case hexadecimal digits", ErrMalformed, id)
		}
		if other, ok := seen[k.Value.PublicKey]; ok {
			return fmt.Errorf("%w: keys %.80q and %.80q are the same", ErrMalformed, id, other)
		}
		seen[k.Value.PublicKey] = id
	}
	return nil
}

// checkRole checks who may sign for a role: distinct known keys, and a
// threshold that they can reach.
func checkRole(what string, keyIDs []string, threshold int, keys map[string]*metadata.Key) error {
	if len(keyIDs) > MaxSignatures || threshold < 1 || threshold > len(keyIDs) {
		return fmt.Errorf("%w: role %s has threshold %d of %d keys", ErrMalformed, what, threshold, len(keyIDs))
	}
	seen := make(map[string]bool, len(keyIDs))
	for _, id := range keyIDs {
		if keys[id] == nil || seen[id] {
			return fmt.Errorf("%w: role %s names key %.80q, which is unknown or repeated", ErrMalformed, what, id)
		}
		seen[id] = true
	}
	return nil
}

// checkSigners refuses signatures by keys that have no business there, so that
// nobody can decorate a document on its way.
func checkSigners(what string, signatures []metadata.Signature, allowed ...[]string) error {
	for _, sig := range signatures {
		found := false
		for _, ids := range allowed {
			for _, id := range ids {
				found = found || id == sig.KeyID
			}
		}
		if !found {
			return fmt.Errorf("%s: %w: signature by key %.80q, which is not of this role", what, ErrForged, sig.KeyID)
		}
	}
	return nil
}
