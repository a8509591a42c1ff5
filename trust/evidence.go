package trust

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

// maxEvidence bounds the pieces of evidence that are kept; the first ones
// stay, since they already say all about a publisher.
const (
	maxEvidence    = 256
	evidenceSuffix = ".evidence"
)

// Evidence is proof that a publisher contradicted itself: two documents that
// its keys signed and that cannot both be meant.
type Evidence struct {
	Publisher Fingerprint `json:"publisher"`
	Name      string      `json:"name"`
	// Role is "root", "timestamp", "snapshot", "targets" or "m-" and a model.
	Role string `json:"role"`
	// What says in words what contradicts what.
	What string `json:"what"`
	// First is the document that is believed, Second the one that was refused,
	// both as signed. First is empty where the contradiction is with a release
	// that is only remembered, its document being long gone; What then has the
	// digests.
	First  []byte `json:"-"`
	Second []byte `json:"-"`
	// Seen is when, by the node's clock.
	Seen time.Time `json:"seen"`
}

type evidenceFile struct {
	Publisher Fingerprint `cbor:"publisher"`
	Name      string      `cbor:"name"`
	Role      string      `cbor:"role"`
	What      string      `cbor:"what"`
	First     []byte      `cbor:"first"`
	Second    []byte      `cbor:"second"`
	Seen      int64       `cbor:"seen"`
}

const maxEvidenceBytes = 2*MaxDocumentBytes + (4 << 10)

// Evidence returns what has been kept, oldest first. Files that cannot be read
// are reported in the error, the others returned all the same.
func (r *Registry) Evidence() ([]Evidence, error) {
	dir := filepath.Join(r.config.Dir, evidenceFolder)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	var list []Evidence
	var errs []error
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), evidenceSuffix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err == nil && info.Size() > maxEvidenceBytes {
			err = fmt.Errorf("%d bytes, at most %d allowed", info.Size(), maxEvidenceBytes)
		}
		var data []byte
		if err == nil {
			data, err = os.ReadFile(path)
		}
		var f evidenceFile
		if err == nil {
			err = decode(data, &f, maxEvidenceBytes)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("evidence %s: %w", path, err))
			continue
		}
		list = append(list, Evidence{f.Publisher, f.Name, f.Role, f.What, f.First, f.Second, fromUnix(f.Seen)})
	}
	slices.SortFunc(list, func(a, b Evidence) int {
		return cmp.Or(a.Seen.Compare(b.Seen), a.Publisher.compare(b.Publisher), cmp.Compare(a.What, b.What))
	})
	return list, errors.Join(errs...)
}

// keep is keepLocked for callers that do not hold changing.
func (r *Registry) keep(v *view, err error) {
	if !errors.Is(err, ErrEquivocation) {
		return
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	r.keepLocked(v, err)
}

// keepLocked keeps the proof inside err, if there is one: once for each
// publisher, role and pair. Failing to write it must not turn a refusal into
// anything else, so that is logged.
func (r *Registry) keepLocked(v *view, err error) {
	c, ok := errors.AsType[*conflict](err)
	if !ok {
		return
	}
	r.config.Logger.Error("publisher signed two contents under one version", slog.String("publisher", v.title()), slog.String("role", c.role), slog.Any("error", err))
	if err := r.writeEvidence(v, c); err != nil {
		r.config.Logger.Error("evidence not kept", slog.String("publisher", v.title()), slog.Any("error", err))
	}
}

func (r *Registry) writeEvidence(v *view, c *conflict) error {
	dir := filepath.Join(r.config.Dir, evidenceFolder)
	id := sha256.Sum256([]byte(v.publisher.String() + "\x00" + c.role + "\x00" + c.what))
	path := filepath.Join(dir, hex.EncodeToString(id[:16])+evidenceSuffix)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) >= maxEvidence {
		return fmt.Errorf("%d pieces are kept already in %s", len(entries), dir)
	}
	data, err := encode(evidenceFile{v.publisher, v.name, c.role, c.what, c.first, c.second, toUnix(r.config.Now())}, maxEvidenceBytes)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, data, 0o600)
}
