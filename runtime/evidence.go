package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

// evidenceDir is the folder beside the state file.
const evidenceDir = "evidence"

// Evidence is all that is known of a failed attempt. It is kept as JSON in a
// file of its own, one for the newest failure of each release that is recorded
// as failed.
type Evidence struct {
	Release Release   `json:"release"`
	Stage   Stage     `json:"stage"`
	Class   Class     `json:"class,omitempty"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	// Trial is what the child process reported, with an excerpt of its standard
	// error; nil where it came not so far.
	Trial *Report `json:"trial,omitempty"`
	// Soak is how the release did while it was active; nil for one that was not.
	Soak *SoakStatus `json:"soak,omitempty"`
	// Engine is what it was to be run by, Profile this machine, as Config.Profile
	// tells it.
	Engine  Info            `json:"engine"`
	Profile json.RawMessage `json:"profile,omitempty"`
}

// evidenceName is the name of the file for a release: it depends on nothing
// else, so that a newer failure replaces an older one.
func evidenceName(r Release) string {
	sum := sha256.Sum256([]byte(r.Model + "\x00" + r.Release + "\x00" + r.Variant))
	return hex.EncodeToString(sum[:16]) + ".json"
}

// keepEvidence writes e and returns the name of its file, empty where that
// failed, which is logged: a full disk must not hide the failure itself.
func (a *Activator) keepEvidence(e Evidence) string {
	e.Engine, e.At = a.cfg.Engine.Info(), time.Now().UTC()
	if a.cfg.Profile != nil {
		e.Profile = a.cfg.Profile()
	}
	if len(e.Reason) > maxReasonBytes {
		e.Reason = e.Reason[:maxReasonBytes] + "..."
	}
	name := evidenceName(e.Release)
	text, err := json.MarshalIndent(e, "", "  ")
	if err == nil {
		err = durable.MkdirAll(filepath.Join(a.cfg.StateDir, evidenceDir), 0o700)
	}
	if err == nil {
		err = durable.WriteFile(a.evidencePath(name), append(text, '\n'), 0o600)
	}
	if err != nil {
		a.cfg.Logger.Warn("evidence of a failure not kept", releaseAttrs(e.Release), slog.Any("error", err))
		return ""
	}
	return name
}

func (a *Activator) evidencePath(name string) string {
	if name == "" {
		return ""
	}
	return filepath.Join(a.cfg.StateDir, evidenceDir, name)
}

// dropEvidence removes the files that no failed attempt of the model names any
// more; before are the attempts from before a change. What is left behind is
// replaced by the next failure of the same release.
func (a *Activator) dropEvidence(before, after []Attempt) {
	kept := make(map[string]bool)
	for _, at := range after {
		kept[at.Evidence] = true
	}
	for _, at := range before {
		if at.Evidence == "" || kept[at.Evidence] {
			continue
		}
		if err := os.Remove(a.evidencePath(at.Evidence)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.cfg.Logger.Warn("evidence not removed", releaseAttrs(at.Release), slog.Any("error", err))
		}
	}
}
