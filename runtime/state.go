package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

const (
	stateFile   = "state.json"
	stateSchema = 2 // 1, which is read too, had no soak, classes, evidence, and one pending stage

	// maxStateBytes and maxModels bound what is read back.
	maxStateBytes = 64 << 20
	maxModels     = 10_000

	// maxFailed is how many failed attempts are kept per model.
	maxFailed = 8

	// maxReasonBytes bounds the recorded reason of a failure.
	maxReasonBytes = 2048
)

// state is the content of state.json.
type state struct {
	Schema int           `json:"schema"`
	Models []modelRecord `json:"models"`
}

// modelRecord is all that is remembered of one model. Pending is the journal:
// the activation that was under way when the record was written.
type modelRecord struct {
	Model    string    `json:"model"`
	Active   *Release  `json:"active,omitempty"`
	Previous *Release  `json:"previous,omitempty"`
	Pending  *pending  `json:"pending,omitempty"`
	Soak     *soaking  `json:"soak,omitempty"` // of Active; nil once that is committed
	Failed   []Attempt `json:"failed,omitempty"`
	// Untold says that hooks may have told another release than Active to other
	// programs: they are run again.
	Untold bool `json:"untold,omitempty"`
}

// soaking is an active release that is not committed.
type soaking struct {
	// Since is when this soak began, in the last process that served it.
	Since time.Time `json:"since"`
	// TriesLeft is how many unexpected restarts end it: at 0 it has failed.
	TriesLeft int `json:"tries_left"`
	// Clean says that the process ended on purpose, which is not held against the
	// release.
	Clean bool `json:"clean,omitempty"`
}

// pending is an activation that has begun. A crash in one of its first stages
// harms nothing and is forgotten; from loading on it is held against the
// release.
type pending struct {
	Release
	Stage Stage `json:"stage"`
	// Restore tells that an active release is being brought back, not a new one
	// tried.
	Restore bool `json:"restore,omitempty"`
	// Tries counts the loads of this release that began and were not seen to
	// end, this one included.
	Tries int `json:"tries,omitempty"`
}

// clone returns a record that shares nothing that is ever changed in place.
func (r modelRecord) clone() modelRecord {
	r.Failed = slices.Clone(r.Failed)
	if r.Soak != nil {
		soak := *r.Soak
		r.Soak = &soak
	}
	return r
}

// fail adds an attempt to r: to the one at the same release if there is one.
func (r *modelRecord) fail(a Attempt) {
	if len(a.Reason) > maxReasonBytes {
		a.Reason = a.Reason[:maxReasonBytes] + "..."
	}
	a.Count = 1
	for i, old := range r.Failed {
		if old.Same(a.Release) {
			a.Count, a.Crashes = old.Count+1, min(old.Crashes+a.Crashes, maxCrashes)
			a.RolledBack = a.RolledBack || old.RolledBack
			r.Failed = slices.Delete(r.Failed, i, i+1)
			break
		}
	}
	r.Failed = append(r.Failed, a)
	for len(r.Failed) > maxFailed {
		// A quarantine outlives plain failures, but not the newest attempt.
		i := slices.IndexFunc(r.Failed[:maxFailed], func(old Attempt) bool { return !old.Quarantined() })
		i = max(i, 0)
		r.Failed = slices.Delete(r.Failed, i, i+1)
	}
}

// cleared returns the failed attempts without those at release ok.
func (r modelRecord) cleared(ok Release) []Attempt {
	return slices.DeleteFunc(slices.Clone(r.Failed), func(a Attempt) bool { return a.Same(ok) })
}

// readState reads the state file of dir; there is an empty state where there
// is no file.
func readState(dir string) (map[string]modelRecord, error) {
	path := filepath.Join(dir, stateFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return make(map[string]modelRecord), nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxStateBytes+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%w: read %s: %w", ErrState, path, err)
	}
	models, err := decodeState(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w; move it away to start with nothing active", ErrState, path, err)
	}
	return models, nil
}

// decodeState is strict: unknown fields, other schemas, doubled models and
// records that no activator writes are refused.
func decodeState(data []byte) (map[string]modelRecord, error) {
	if len(data) > maxStateBytes {
		return nil, fmt.Errorf("more than %d bytes", maxStateBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var s state
	if err := dec.Decode(&s); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the state")
	}
	if s.Schema < 1 || s.Schema > stateSchema {
		return nil, fmt.Errorf("schema %d, this program knows 1 to %d", s.Schema, stateSchema)
	}
	if len(s.Models) > maxModels {
		return nil, fmt.Errorf("%d models, at most %d", len(s.Models), maxModels)
	}
	models := make(map[string]modelRecord, len(s.Models))
	for _, r := range s.Models {
		if _, ok := models[r.Model]; ok {
			return nil, fmt.Errorf("model %q is there twice", r.Model)
		}
		if err := r.validate(); err != nil {
			return nil, fmt.Errorf("model %q: %w", r.Model, err)
		}
		models[r.Model] = r
	}
	return models, nil
}

func (r modelRecord) validate() error {
	releases := []*Release{r.Active, r.Previous}
	if r.Pending != nil {
		if !slices.Contains([]Stage{StageVerifying, StageProbing, StageLoading, StageWarming, StageSwitching}, r.Pending.Stage) {
			return fmt.Errorf("unknown pending stage %q", r.Pending.Stage)
		}
		releases = append(releases, &r.Pending.Release)
	}
	if r.Soak != nil && (r.Active == nil || r.Soak.TriesLeft < 1 || r.Soak.TriesLeft > maxTries) {
		return errors.New("a soak of nothing, or with a number of tries that cannot be")
	}
	if len(r.Failed) > maxFailed {
		return fmt.Errorf("%d failed attempts, at most %d", len(r.Failed), maxFailed)
	}
	for _, a := range r.Failed {
		if a.Crashes < 0 || a.Crashes > maxCrashes {
			return fmt.Errorf("%d crashes, at most %d", a.Crashes, maxCrashes)
		}
		if a.Evidence != "" && a.Evidence != evidenceName(a.Release) {
			return fmt.Errorf("evidence in %q", a.Evidence)
		}
		releases = append(releases, &a.Release)
	}
	for _, rel := range releases {
		if rel == nil {
			continue
		}
		if err := rel.validate(); err != nil {
			return err
		}
		if rel.Model != r.Model {
			return fmt.Errorf("it holds a release of model %q", rel.Model)
		}
	}
	return nil
}

// encodeState is deterministic: models are sorted by name.
func encodeState(models map[string]modelRecord) ([]byte, error) {
	s := state{Schema: stateSchema, Models: []modelRecord{}}
	for _, r := range models {
		s.Models = append(s.Models, r)
	}
	slices.SortFunc(s.Models, func(a, b modelRecord) int { return bytes.Compare([]byte(a.Model), []byte(b.Model)) })
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}

// writeState replaces the state file of dir.
func writeState(dir string, models map[string]modelRecord) error {
	if len(models) > maxModels {
		return fmt.Errorf("%w: %d models, at most %d", ErrState, len(models), maxModels)
	}
	data, err := encodeState(models)
	if err == nil {
		err = durable.WriteFile(filepath.Join(dir, stateFile), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}
