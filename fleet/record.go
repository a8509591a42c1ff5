package fleet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Bounds of a record.
const (
	// MaxRecordBytes bounds a signed record.
	MaxRecordBytes = 2048
	// MaxModels bounds the models of a record; Omitted counts the others.
	MaxModels = 32
	// MaxReasonBytes bounds the reason of a model's state.
	MaxReasonBytes = 96
	maxSiteBytes   = 64
	maxSoftBytes   = 32 // version of the software, platform
	maxStateBytes  = 16
	// maxCounter bounds epochs and sequences, so that there is always a next
	// one for any node that counts honestly.
	maxCounter = 1 << 52
)

// Record says how a node is. Peer, Epoch, Sequence and Time are filled in by
// [Fleet.Publish].
type Record struct {
	_        struct{} `cbor:",toarray"`
	Peer     peer.ID
	Epoch    uint64
	Sequence uint64
	// Time is the node's own clock, in seconds since 1970: to be shown, not to
	// be trusted.
	Time int64
	// Site is the operator's label, at most 64 bytes; may be empty.
	Site string
	// Software is the version of the node's software, Platform its operating
	// system and architecture, such as "linux/arm64".
	Software string
	Platform string
	// Class is that of the node's hardware and library, see profile.Profile; at
	// most 32 bytes, empty for a node that runs no models.
	Class string
	// Models are at most MaxModels, in the order of their names. Omitted counts
	// those that did not fit.
	Models  []Model
	Omitted uint64
	Links   Links
	// DiskFree is how many bytes the store may still take.
	DiskFree uint64
}

// Model says where one model stands on a node.
type Model struct {
	_     struct{} `cbor:",toarray"`
	Model manifest.Model
	// Held and HeldSequence name the newest release that is here whole, Wanted
	// the newest that is followed or carried, Active what serves; empty for none.
	Held         string
	HeldSequence uint64
	Wanted       string
	Active       string
	// Serving says that the active release is loaded and answers.
	Serving bool
	// State is one word for where the wanted release stands, such as "fetching".
	State string
	// Progress of fetching it, in thousandths.
	Progress uint16
	// Reason says why, if the state is not as it should be.
	Reason string
	// Runs says that the node follows the model and an engine there runs it.
	Runs bool
	// Tried is the release that Outcome is of, as [ReleaseKey] shortens it; 0
	// for none.
	Tried   uint64
	Outcome Outcome
}

// Outcome says how a release that a node has tried to run turned out there.
type Outcome uint8

// The outcomes. What fails for want of something on the node is Untried.
const (
	Untried Outcome = iota
	Good            // it passed its golden set and serves
	Bad             // its content failed
)

// ReleaseKey shortens the name of a release: the last 8 bytes of its manifest's
// CID, which are of its digest, as a number that is never 0. Of the few releases
// of a model no two have the same.
func ReleaseKey(c manifest.CID) uint64 {
	d := c.Digest()
	return max(1, binary.BigEndian.Uint64(d[len(d)-8:]))
}

// Links counts the stream bytes of a node since it started, by where they went.
type Links struct {
	_          struct{} `cbor:",toarray"`
	OutsideIn  uint64   // from other sites
	OutsideOut uint64
	InsideIn   uint64 // from members of the node's own site
	InsideOut  uint64
}

// Validate checks everything but the signature. All texts are printable: they
// end up on terminals.
func (r *Record) Validate() error {
	switch {
	case r.Peer == "":
		return errors.New("record of nobody")
	case r.Epoch == 0 || r.Epoch > maxCounter || r.Sequence == 0 || r.Sequence > maxCounter:
		return fmt.Errorf("epoch %d, sequence %d, want 1 to 2⁵²", r.Epoch, r.Sequence)
	case len(r.Models) > MaxModels:
		return fmt.Errorf("%d models, at most %d", len(r.Models), MaxModels)
	case r.Omitted > maxCounter:
		return fmt.Errorf("%d models omitted", r.Omitted)
	}
	if err := errors.Join(text("site", r.Site, maxSiteBytes), text("software", r.Software, maxSoftBytes), text("platform", r.Platform, maxSoftBytes), text("class", r.Class, maxSoftBytes)); err != nil {
		return err
	}
	for i := range r.Models {
		if err := r.Models[i].validate(); err != nil {
			return err
		}
		if i > 0 && r.Models[i-1].Model >= r.Models[i].Model {
			return errors.New("models are not in order")
		}
	}
	return nil
}

func (m *Model) validate() error {
	if err := m.Model.Validate(); err != nil {
		return err
	}
	for _, v := range []string{m.Held, m.Wanted, m.Active} {
		if v == "" {
			continue
		}
		if err := manifest.ValidateVersion(v); err != nil {
			return err
		}
	}
	switch {
	case m.Progress > 1000:
		return fmt.Errorf("progress of %d thousandths", m.Progress)
	case len(m.State) > maxStateBytes || strings.Trim(m.State, "abcdefghijklmnopqrstuvwxyz_") != "":
		return fmt.Errorf("state %.20q", m.State)
	case m.Outcome > Bad || (m.Tried == 0) != (m.Outcome == Untried):
		return fmt.Errorf("outcome %d of %x", m.Outcome, m.Tried)
	case m.HeldSequence > maxCounter:
		return fmt.Errorf("sequence %d", m.HeldSequence)
	}
	return text("reason", m.Reason, MaxReasonBytes)
}

func text(what, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s of %d bytes, at most %d", what, len(s), limit)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%s %.40q is not printable", what, s)
	}
	return nil
}

// Printable returns s as a record can carry it: whatever cannot be printed is
// a space, and of what is longer than limit bytes, at least 3, the middle is
// left out, since both ends of an error tell most.
func Printable(s string, limit int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, " "), func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }), " ")
	if len(s) <= limit {
		return s
	}
	const mark = "…"
	head := (limit - len(mark)) / 2
	tail := len(s) - (limit - len(mark) - head)
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return s[:head] + mark + s[tail:]
}

// newer says whether the record numbered (epoch, sequence) replaces the other.
func newer(epoch, sequence, otherEpoch, otherSequence uint64) bool {
	if epoch != otherEpoch {
		return epoch > otherEpoch
	}
	return sequence > otherSequence
}

// change says how two records of a node differ.
type change int

const (
	counted  change = iota // in numbers that always move: clock, bytes, disk
	advanced               // in progress as well
	altered                // in what people want to know soon
)

// compare says how b, which is newer, differs from a.
func compare(a, b *Record) change {
	if a.Epoch != b.Epoch || a.Site != b.Site || a.Software != b.Software || a.Platform != b.Platform || a.Class != b.Class ||
		a.Omitted != b.Omitted || len(a.Models) != len(b.Models) {
		return altered
	}
	if slices.Equal(a.Models, b.Models) {
		return counted
	}
	for i := range a.Models {
		without := b.Models[i]
		without.Progress = a.Models[i].Progress
		if without != a.Models[i] {
			return altered
		}
	}
	return advanced
}

// MaxAge is how old a row may become: a node that was not heard of for so long
// is forgotten.
const MaxAge = 30 * 24 * time.Hour
