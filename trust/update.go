package trust

import (
	"fmt"
	"slices"
	"strings"
)

// Have says how far a node is with one publisher: the version of each
// document that it holds, 0 for none, and how many models its targets delegate
// to. It is a few dozen bytes however many models there are.
type Have struct {
	Root      int64 `cbor:"root"`
	Timestamp int64 `cbor:"timestamp"`
	Snapshot  int64 `cbor:"snapshot"`
	Targets   int64 `cbor:"targets"`
	Models    int64 `cbor:"models"` // at most MaxModels
}

// Encode returns h as canonical dag-cbor; the error wraps [ErrMalformed].
func (h Have) Encode() ([]byte, error) {
	if err := h.validate(); err != nil {
		return nil, err
	}
	return encode(h, MaxHaveBytes)
}

// DecodeHave reads what Encode wrote and nothing else; the error wraps
// [ErrMalformed].
func DecodeHave(data []byte) (Have, error) {
	var h Have
	if err := decode(data, &h, MaxHaveBytes); err != nil {
		return Have{}, fmt.Errorf("have: %w", err)
	}
	return h, h.validate()
}

func (h Have) validate() error {
	for _, v := range []int64{h.Root, h.Timestamp, h.Snapshot, h.Targets} {
		if v < 0 || v > MaxVersion {
			return fmt.Errorf("have: %w: version %d out of range", ErrMalformed, v)
		}
	}
	if h.Models < 0 || h.Models > MaxModels {
		return fmt.Errorf("have: %w: %d models, at most %d allowed", ErrMalformed, h.Models, MaxModels)
	}
	return nil
}

// Role is the signed document of one delegated role.
type Role struct {
	Name string `cbor:"name"`
	Data []byte `cbor:"data"`
}

// Update is the signed metadata that a node with some [Have] lacks. Documents
// that it holds already are absent (empty), except Timestamp, which is always
// there. All bytes are the publisher's own, JSON, shared and not to be changed;
// only of a Thin update Snapshot and Targets lack what the receiver can fill in
// from what it holds, see thin.go.
type Update struct {
	Publisher Fingerprint `cbor:"publisher"`
	Roots     [][]byte    `cbor:"roots"` // ascending versions without a gap
	Timestamp []byte      `cbor:"timestamp"`
	Snapshot  []byte      `cbor:"snapshot"`
	Targets   []byte      `cbor:"targets"`
	Roles     []Role      `cbor:"roles"` // ascending names
	Thin      bool        `cbor:"thin,omitempty"`
}

// partial says whether u builds on documents that the receiver must hold.
func (u Update) partial() bool { return u.Thin || len(u.Snapshot) == 0 || len(u.Targets) == 0 }

// Encode returns u as canonical dag-cbor of at most [MaxUpdateBytes]; the
// error wraps [ErrMalformed].
func (u Update) Encode() ([]byte, error) {
	if err := u.validate(); err != nil {
		return nil, err
	}
	return encode(u, MaxUpdateBytes)
}

// DecodeUpdate reads what Encode wrote and nothing else; the error wraps
// [ErrMalformed]. It checks form and bounds, not signatures: see
// [Registry.Apply].
func DecodeUpdate(data []byte) (Update, error) {
	var u Update
	if err := decode(data, &u, MaxUpdateBytes); err != nil {
		return Update{}, fmt.Errorf("update: %w", err)
	}
	return u, u.validate()
}

// Bytes returns the sum of the documents' lengths.
func (u Update) Bytes() int {
	n := len(u.Timestamp) + len(u.Snapshot) + len(u.Targets)
	for _, r := range u.Roots {
		n += len(r)
	}
	for _, r := range u.Roles {
		n += len(r.Name) + len(r.Data)
	}
	return n
}

func (u Update) validate() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("update of %s: %w: %s", u.Publisher, ErrMalformed, fmt.Sprintf(format, args...))
	}
	switch {
	case len(u.Timestamp) == 0:
		return fail("no timestamp")
	case len(u.Timestamp) > MaxTimestampBytes:
		return fail("timestamp of %d bytes", len(u.Timestamp))
	case len(u.Snapshot) > MaxDocumentBytes || len(u.Targets) > MaxDocumentBytes:
		return fail("snapshot of %d and targets of %d bytes", len(u.Snapshot), len(u.Targets))
	case len(u.Roots) > MaxRoots:
		return fail("%d roots", len(u.Roots))
	case len(u.Roles) > MaxModels:
		return fail("%d roles", len(u.Roles))
	case u.Bytes() > MaxUpdateBytes:
		return fail("%d bytes", u.Bytes())
	}
	for _, r := range u.Roots {
		if len(r) == 0 || len(r) > MaxRootBytes {
			return fail("root of %d bytes", len(r))
		}
	}
	for _, r := range u.Roles {
		if _, err := roleModel(r.Name); err != nil {
			return fail("%v", err)
		}
		if len(r.Data) == 0 || len(r.Data) > MaxDocumentBytes {
			return fail("role %s of %d bytes", r.Name, len(r.Data))
		}
	}
	ascending := func(a, b Role) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(u.Roles, ascending) || len(slices.CompactFunc(slices.Clone(u.Roles), func(a, b Role) bool { return a.Name == b.Name })) != len(u.Roles) {
		return fail("roles are not in ascending order")
	}
	return nil
}
