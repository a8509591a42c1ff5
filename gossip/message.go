package gossip

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/trust"
)

// Bounds of one turn of a session. Whatever is over them waits for the next
// turn or the next session.
const (
	maxTurnBytes      = 512 << 10
	maxSections       = 1024
	maxSectionEntries = 32
	maxAsks           = 64
	maxUpdates        = 64
)

// turn is what one side says before it listens again. Updates follow it on the
// stream, each in a frame of its own. A turn needs an answer if it has sections,
// asks or more to give, or the first digest of a session.
type turn struct {
	// Digest of the sender's vector: in the first turn of each side, except
	// when a session only asks.
	Digest []byte `cbor:"d,omitempty"`
	// Salt of all digests in sections, in the first turn that has sections.
	Salt []byte `cbor:"x,omitempty"`
	// Sections are ranges in which the vectors differ, as the sender has them.
	Sections []section `cbor:"s,omitempty"`
	// Asks name the publishers of which the sender wants what is newer.
	Asks []ask `cbor:"a,omitempty"`
	// Seen says how many of the asks in the turn before, in order, this turn
	// deals with; those without an update here have none.
	Seen int `cbor:"n,omitempty"`
	// Hurry says that the asks are not to wait for what the other side learns from
	// its own site: the sender can ask somebody else.
	Hurry bool `cbor:"h,omitempty"`
	// More says that the sender has more updates to give after the next turn.
	More bool `cbor:"m,omitempty"`
	// Updates is how many updates follow.
	Updates int `cbor:"u,omitempty"`
}

// section is a range of the sender's vector: either the entries themselves or
// one digest for each part, an empty one where there are no publishers.
type section struct {
	_       struct{} `cbor:",toarray"`
	Prefix  []byte   // of the fingerprints, one nibble a byte
	Entries []entry  // in ascending order
	Parts   [][]byte // none or fanOut
}

// entry is one publisher in a section.
type entry struct {
	_         struct{} `cbor:",toarray"`
	Publisher trust.Fingerprint
	Have      versions
	Digest    []byte
}

// ask is a wish for what is newer than Have.
type ask struct {
	_         struct{} `cbor:",toarray"`
	Publisher trust.Fingerprint
	Have      versions
}

// versions is a [trust.Have] as five numbers.
type versions struct {
	_                                          struct{} `cbor:",toarray"`
	Root, Timestamp, Snapshot, Targets, Models int64
}

func versionsOf(h trust.Have) versions {
	return versions{Root: h.Root, Timestamp: h.Timestamp, Snapshot: h.Snapshot, Targets: h.Targets, Models: h.Models}
}

func (v versions) have() trust.Have {
	return trust.Have{Root: v.Root, Timestamp: v.Timestamp, Snapshot: v.Snapshot, Targets: v.Targets, Models: v.Models}
}

// wants says whether the sender waits for an answer, the first digest apart.
func (t *turn) wants() bool { return len(t.Sections) > 0 || len(t.Asks) > 0 || t.More }

// Validate checks the bounds and the order of everything in t.
func (t *turn) Validate() error {
	switch {
	case len(t.Digest) != 0 && len(t.Digest) != digestBytes:
		return fmt.Errorf("digest of %d bytes, want %d", len(t.Digest), digestBytes)
	case len(t.Salt) != 0 && len(t.Salt) != saltBytes:
		return fmt.Errorf("salt of %d bytes, want %d", len(t.Salt), saltBytes)
	case len(t.Sections) > maxSections:
		return fmt.Errorf("%d sections, at most %d allowed", len(t.Sections), maxSections)
	case len(t.Asks) > maxAsks:
		return fmt.Errorf("%d asks, at most %d allowed", len(t.Asks), maxAsks)
	case t.Seen < 0 || t.Seen > maxAsks:
		return fmt.Errorf("%d asks seen, at most %d allowed", t.Seen, maxAsks)
	case t.Updates < 0 || t.Updates > maxUpdates:
		return fmt.Errorf("%d updates, at most %d allowed", t.Updates, maxUpdates)
	}
	for i := range t.Sections {
		if err := t.Sections[i].validate(); err != nil {
			return fmt.Errorf("section %d: %w", i, err)
		}
	}
	for i, a := range t.Asks {
		if err := a.Have.validate(); err != nil {
			return fmt.Errorf("ask %d: %w", i, err)
		}
	}
	return nil
}

// shape bounds sections.
func shape() parley.Shape {
	return parley.Shape{Depth: maxDepth, Entries: maxSectionEntries, PartBytes: partBytes}
}

func (s *section) validate() error {
	if err := shape().Check(s.Prefix, len(s.Entries), s.Parts); err != nil {
		return err
	}
	for i, e := range s.Entries {
		if i > 0 && bytes.Compare(s.Entries[i-1].Publisher[:], e.Publisher[:]) >= 0 {
			return errors.New("entries are not in order")
		}
		if parley.ComparePrefix(e.Publisher[:], s.Prefix) != 0 || len(e.Digest) != partBytes {
			return errors.New("entry does not belong to its section")
		}
		if err := e.Have.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (v versions) validate() error {
	if min(v.Root, v.Timestamp, v.Snapshot, v.Targets) < 0 ||
		max(v.Root, v.Timestamp, v.Snapshot, v.Targets) > trust.MaxVersion {
		return errors.New("version out of range")
	}
	if v.Models < 0 || v.Models > trust.MaxModels {
		return fmt.Errorf("%d models, at most %d allowed", v.Models, trust.MaxModels)
	}
	return nil
}

// decodeTurn reads one turn; the error wraps manifest.ErrFormat.
func decodeTurn(data []byte) (*turn, error) {
	if len(data) > maxTurnBytes {
		return nil, fmt.Errorf("turn of %d bytes, at most %d: %w", len(data), maxTurnBytes, manifest.ErrFormat)
	}
	t := new(turn)
	return t, manifest.Decode(data, t)
}
