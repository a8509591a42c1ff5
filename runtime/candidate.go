package runtime

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Release identifies one variant of one release of one model on this machine.
type Release struct {
	// Model is "publisher/name".
	Model string `json:"model"`
	// Version is the publisher's version for people.
	Version string `json:"version"`
	// Sequence is the release's place in its publisher's order.
	Sequence uint64 `json:"sequence"`
	// Release is the manifest's CID as text.
	Release string `json:"release"`
	// Variant is the name of the variant within the manifest.
	Variant string `json:"variant"`
	// Dir is the absolute path of the folder that holds the variant's files.
	Dir string `json:"dir"`
	// Entry is the slash-separated path of the file to load, relative to Dir.
	Entry string `json:"entry"`
}

// Same tells whether both are the same bytes: model, manifest and variant.
func (r Release) Same(o Release) bool {
	return r.Model == o.Model && r.Release == o.Release && r.Variant == o.Variant
}

// Path returns the absolute path of the file to load.
func (r Release) Path() string { return filepath.Join(r.Dir, filepath.FromSlash(r.Entry)) }

// maxNameBytes bounds each text of a release, so that the state file stays small.
const maxNameBytes = 4096

// validate refuses what is missing, over-long or outside Dir.
func (r Release) validate() error {
	for name, value := range map[string]string{
		"model": r.Model, "release": r.Release, "dir": r.Dir, "entry": r.Entry,
	} {
		if value == "" {
			return fmt.Errorf("%w: no %s", ErrCandidate, name)
		}
	}
	for _, value := range []string{r.Model, r.Version, r.Release, r.Variant, r.Dir, r.Entry} {
		if len(value) > maxNameBytes {
			return fmt.Errorf("%w: text of %d bytes, at most %d", ErrCandidate, len(value), maxNameBytes)
		}
	}
	if !filepath.IsAbs(r.Dir) {
		return fmt.Errorf("%w: folder %q is not an absolute path", ErrCandidate, r.Dir)
	}
	local, err := filepath.Localize(r.Entry)
	if err != nil || strings.ContainsRune(local, 0) {
		return fmt.Errorf("%w: entry %q is not a path inside the variant", ErrCandidate, r.Entry)
	}
	return nil
}

// Candidate is a release that lies whole on this disk and may become active.
type Candidate struct {
	Release
	// Verify checks every byte of the variant's files against the release; it
	// returns nil only if all of them are right. It is called once per attempt,
	// and must stop when ctx ends. Required.
	Verify func(ctx context.Context) error
	// Golden is the absolute path of the folder of the release's golden set,
	// which Verify checks too; empty for a release without one.
	Golden string
	// External says that another program runs the model, and is told by the
	// hooks: nothing is loaded here. Its Entry may be a folder, "." for Dir.
	External bool
}

// validate refuses what Release.validate refuses, and a missing Verify.
func (c Candidate) validate() error {
	if c.Verify == nil {
		return fmt.Errorf("%w: no Verify", ErrCandidate)
	}
	return c.Release.validate()
}

// Stage is a step of an activation.
type Stage string

// The stages of an activation, in their order. Each is in the state file while
// it lasts. A release that is in none of them and active is committed.
const (
	StageVerifying Stage = "verifying" // whole files against their digests
	StageProbing   Stage = "probing"   // a child process loads the model, and runs its golden set
	StageGolden    Stage = "golden"    // of failures: the golden set, in the child process
	StageLoading   Stage = "loading"   // this process loads the model
	StageWarming   Stage = "warming"   // this process runs it a few times
	StageSwitching Stage = "switching" // hooks run, the state file is written
	StageSoaking   Stage = "soaking"   // active and watched, with tries left; not committed
	StageCommitted Stage = "committed" // active, and nothing is held against it
)

// Attempt is an activation that failed. Attempts at the same release and
// variant are kept as one, with their number.
type Attempt struct {
	Release
	Stage  Stage     `json:"stage"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Count  int       `json:"count"`
	// Crashes is how many of them ended with the process, which takes whatever
	// else served with it.
	Crashes int `json:"crashes,omitempty"`
	// Class says what the failure comes from; empty for one that was recorded by
	// an older program, and for a rollback that an operator asked for.
	Class Class `json:"class,omitempty"`
	// RolledBack says that the release was active, and was given up for the one
	// before it.
	RolledBack bool `json:"rolled_back,omitempty"`
	// Evidence names the file in the folder evidence, beside the state file, that
	// holds all that is known.
	Evidence string `json:"evidence,omitempty"`
}

// maxCrashes is how often loading a release may end the process before it is
// quarantined. More than one, because the process may have been ended by
// something else.
const maxCrashes = 3

// Quarantined tells whether the release is not loaded any more until
// [Activator.Forgive], because it was rolled back, or because loading it ended
// the process time and again.
func (a Attempt) Quarantined() bool { return a.RolledBack || a.Crashes >= maxCrashes }

// Quarantine returns an error that wraps ErrQuarantined and says why a release
// in quarantine is there.
func (a Attempt) Quarantine() error {
	if a.RolledBack {
		return fmt.Errorf("%w: it was rolled back on %s: %s", ErrQuarantined, a.At.Format(time.DateOnly), a.Reason)
	}
	return fmt.Errorf("%w: the process ended %d times while loading it", ErrQuarantined, a.Crashes)
}

// ActiveInfo describes the release that answered, or is answering.
type ActiveInfo struct {
	Release
	Signature Signature `json:"signature"`
	// ActiveSince is when this process began to serve it.
	ActiveSince time.Time `json:"active_since"`
	// External says that another program runs it.
	External bool `json:"external,omitempty"`
	// Warm is how long the runs of its warm-up took; nil where there were none.
	Warm *Latency `json:"warm,omitempty"`
}

// ModelStatus is what the activator knows about one model.
type ModelStatus struct {
	Model string `json:"model"`
	// Active is the release that serves, nil where none does.
	Active *ActiveInfo `json:"active,omitempty"`
	// Worker is the process that Active runs in, nil where that is this one.
	Worker *Worker `json:"worker,omitempty"`
	// Recorded is the release that the state file names as active. It differs
	// from Active only where Restore could not bring it back.
	Recorded *Release `json:"recorded,omitempty"`
	// Previous is the release that served before, to go back to.
	Previous *Release `json:"previous,omitempty"`
	// Pending is the release of the activation under way, and PendingStage how
	// far it is.
	Pending      *Release `json:"pending,omitempty"`
	PendingStage Stage    `json:"pending_stage,omitempty"`
	// Soak tells how the active release does that is not committed yet, nil for
	// one that is.
	Soak *SoakStatus `json:"soak,omitempty"`
	// Outage is since when the model does not serve because its release is being
	// replaced on a machine without memory for two.
	Outage *time.Time `json:"outage,omitempty"`
	// Failed holds the newest failed attempts, oldest first, at most 8.
	Failed []Attempt `json:"failed,omitempty"`
}
