package fleet

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/parley"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Bounds of one turn of a session. Whatever is over them waits for the next
// turn or the next session.
const (
	maxTurnBytes      = 256 << 10
	maxSections       = 256
	maxSectionEntries = 32
	maxHaves          = 64
	maxWants          = 512
	maxRecords        = 128
	meshBytes         = 4
)

// turn is what one side says before it listens again. It needs an answer if it
// has the first digest of a session, haves, sections, wants or more to give.
type turn struct {
	// Mesh is a mark of the sender's mesh, in the first turn of a session.
	Mesh []byte `cbor:"n,omitempty"`
	// Pause is how many seconds the sender wants between sessions, in the first
	// turn of each side, if that is more than one.
	Pause uint32 `cbor:"p,omitempty"`
	// Digest of what the sender will hold once it has what it wants of the
	// haves in the turn before; in the first turn of each side.
	Digest []byte `cbor:"d,omitempty"`
	// Haves name what has changed at the sender since the last session.
	Haves []entry `cbor:"h,omitempty"`
	// Salt of all digests in sections, in the first turn that has sections.
	Salt []byte `cbor:"x,omitempty"`
	// Sections are ranges in which the tables differ, as the sender has them.
	Sections []section `cbor:"s,omitempty"`
	// Wants are keys of records to be sent.
	Wants [][]byte `cbor:"w,omitempty"`
	// Records that the other side wants or lacks.
	Records []carried `cbor:"r,omitempty"`
	// More says that the sender has more records to give after the next turn.
	More bool `cbor:"m,omitempty"`
}

// section is a range of the sender's table: either all of its rows or one
// digest for each part, an empty one where there are no rows.
type section struct {
	_       struct{} `cbor:",toarray"`
	Prefix  []byte   // of the keys, one nibble a byte
	Entries []entry  // in ascending order
	Parts   [][]byte // none or fanOut
}

// entry is a stamp on the wire.
type entry struct {
	_        struct{} `cbor:",toarray"`
	Key      []byte
	Epoch    uint64
	Sequence uint64
}

// carried is a signed record and how many seconds ago it was made, as far as
// the sender knows.
type carried struct {
	_      struct{} `cbor:",toarray"`
	Age    uint32
	Record []byte
}

func entryOf(s stamp) entry {
	return entry{Key: bytes.Clone(s.key[:]), Epoch: s.epoch, Sequence: s.sequence}
}

func (e entry) stamp() stamp { return stamp{rowKey(e.Key), e.Epoch, e.Sequence} }

// meshMark tells meshes apart at first sight; the signatures of records tell
// them apart for certain.
func meshMark(mesh string) []byte {
	sum := sha256.Sum256([]byte(domain + "mesh\x00" + mesh))
	return sum[:meshBytes]
}

// asks says whether the sender waits for an answer, the first digest apart.
func (t *turn) asks() bool {
	return len(t.Haves) > 0 || len(t.Sections) > 0 || len(t.Wants) > 0 || t.More
}

// Validate checks the bounds and the order of everything in t. The content of
// records is not looked at.
func (t *turn) Validate() error {
	switch {
	case len(t.Mesh) != 0 && len(t.Mesh) != meshBytes:
		return fmt.Errorf("mesh mark of %d bytes, want %d", len(t.Mesh), meshBytes)
	case len(t.Digest) != 0 && len(t.Digest) != digestBytes:
		return fmt.Errorf("digest of %d bytes, want %d", len(t.Digest), digestBytes)
	case len(t.Salt) != 0 && len(t.Salt) != saltBytes:
		return fmt.Errorf("salt of %d bytes, want %d", len(t.Salt), saltBytes)
	case len(t.Haves) > maxHaves || len(t.Sections) > maxSections || len(t.Wants) > maxWants || len(t.Records) > maxRecords:
		return fmt.Errorf("%d haves, %d sections, %d wants, %d records, at most %d, %d, %d, %d",
			len(t.Haves), len(t.Sections), len(t.Wants), len(t.Records), maxHaves, maxSections, maxWants, maxRecords)
	}
	if err := validateEntries(t.Haves); err != nil {
		return fmt.Errorf("haves: %w", err)
	}
	for i := range t.Sections {
		if err := t.Sections[i].validate(); err != nil {
			return fmt.Errorf("section %d: %w", i, err)
		}
	}
	for _, key := range t.Wants {
		if len(key) != len(rowKey{}) {
			return fmt.Errorf("key of %d bytes, want %d", len(key), len(rowKey{}))
		}
	}
	for _, r := range t.Records {
		if len(r.Record) > MaxRecordBytes {
			return fmt.Errorf("record of %d bytes, at most %d", len(r.Record), MaxRecordBytes)
		}
	}
	return nil
}

func validateEntries(entries []entry) error {
	for i, e := range entries {
		switch {
		case len(e.Key) != len(rowKey{}):
			return fmt.Errorf("key of %d bytes, want %d", len(e.Key), len(rowKey{}))
		case i > 0 && bytes.Compare(entries[i-1].Key, e.Key) >= 0:
			return errors.New("entries are not in order")
		case e.Epoch > maxCounter || e.Sequence > maxCounter:
			return fmt.Errorf("epoch %d, sequence %d", e.Epoch, e.Sequence)
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
	if err := validateEntries(s.Entries); err != nil {
		return err
	}
	for _, e := range s.Entries {
		if parley.ComparePrefix(e.Key, s.Prefix) != 0 {
			return errors.New("entry does not belong to its section")
		}
	}
	return nil
}

// decodeTurn reads one turn; the error wraps manifest.ErrFormat.
func decodeTurn(data []byte) (*turn, error) {
	t := new(turn)
	return t, manifest.Decode(data, t)
}

// seconds is an age as it travels.
func seconds(age time.Duration) uint32 { return uint32(min(max(age, 0), 2*MaxAge) / time.Second) }
