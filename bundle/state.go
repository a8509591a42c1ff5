package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Bounds of a state.
const (
	MaxStateBytes = 16 << 20
	maxHaveBytes  = 1000
	maxHeld       = 1 << 14 // releases
	maxHeldFiles  = 1 << 17 // files of all releases
)

// State is what a site holds, for whoever makes a bundle for it. It is not
// signed: a wrong one makes a bundle that is too large or of no use there, and
// what a bundle brings is verified wherever it comes from.
type State struct {
	Schema int       `json:"schema"` // 1
	Node   string    `json:"node"`   // peer ID, for people
	Made   time.Time `json:"made"`
	// Publishers says how far the site is with each publisher.
	Publishers []KnownPublisher `json:"publishers"`
	// Releases are those of which the site holds whole variants.
	Releases []HeldRelease `json:"releases"`
}

// KnownPublisher is how far a site is with a publisher.
type KnownPublisher struct {
	Name        string          `json:"name"`
	Fingerprint manifest.Digest `json:"fingerprint"`
	// Have is what trust.Have.Encode wrote, at most 1 kB.
	Have []byte `json:"have"`
}

// HeldRelease is a release of which a site holds these files whole.
type HeldRelease struct {
	Model    manifest.Model `json:"model"`
	Version  string         `json:"version"`
	Sequence uint64         `json:"sequence"`
	Manifest manifest.CID   `json:"manifest"`
	Files    []HeldFile     `json:"files"`
}

// HeldFile is a file that a site holds whole.
type HeldFile struct {
	manifest.FileID
	Size uint64 `json:"size"`
}

// ParseState reads a state of at most MaxStateBytes. Errors: ErrMalformed.
func ParseState(data []byte) (*State, error) {
	if len(data) > MaxStateBytes {
		return nil, fmt.Errorf("%w: a state of %d bytes, at most %d", ErrMalformed, len(data), MaxStateBytes)
	}
	s := new(State)
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(s)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows after it")
		}
	}
	if err == nil {
		err = s.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: this is no state of a site as `dunlin bundle state` writes it: %w", ErrMalformed, err)
	}
	return s, nil
}

// Validate checks every bound.
func (s *State) Validate() error {
	if s.Schema != Schema {
		return fmt.Errorf("state of schema %d, this node knows %d: update dunlin", s.Schema, Schema)
	}
	if len(s.Publishers) > MaxPublishers || len(s.Releases) > maxHeld {
		return fmt.Errorf("%d publishers and %d releases, at most %d and %d", len(s.Publishers), len(s.Releases), MaxPublishers, maxHeld)
	}
	for _, p := range s.Publishers {
		if len(p.Have) > maxHaveBytes {
			return fmt.Errorf("publisher %.80q: %d bytes say how far the site is, at most %d", p.Name, len(p.Have), maxHaveBytes)
		}
	}
	files := 0
	for _, r := range s.Releases {
		if err := errors.Join(r.Model.Validate(), manifest.ValidateVersion(r.Version)); err != nil {
			return err
		}
		if files += len(r.Files); files > maxHeldFiles {
			return fmt.Errorf("more than %d files", maxHeldFiles)
		}
		for _, f := range r.Files {
			if err := validateID(f.FileID); err != nil {
				return err
			}
		}
	}
	return nil
}

// Holds says whether the site holds the file whole. The nil State holds nothing.
func (s *State) Holds(id manifest.FileID) bool {
	if s == nil {
		return false
	}
	for _, r := range s.Releases {
		for _, f := range r.Files {
			if f.FileID == id {
				return true
			}
		}
	}
	return false
}

// Of returns the releases of a model that the site holds.
func (s *State) Of(m manifest.Model) (held []HeldRelease) {
	if s == nil {
		return nil
	}
	for _, r := range s.Releases {
		if r.Model == m {
			held = append(held, r)
		}
	}
	return held
}
