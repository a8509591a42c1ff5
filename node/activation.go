package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/golden"
	"github.com/dunlin-mesh/dunlin/runtime/health"
	"github.com/dunlin-mesh/dunlin/runtime/hook"
)

// Activation is how a release comes to serve. Every field may be left out.
type Activation struct {
	// SoakSeconds is how long a release is watched after it became active, until
	// it is committed: 1 to 86400. 0, as the default, is 600; -1 for not at all.
	SoakSeconds int `json:"soak_seconds,omitempty"`
	// SoakTries is how many unexpected ends of the node it takes while a release
	// is watched to roll it back, 1 to 10. Default 3.
	SoakTries int `json:"soak_tries,omitempty"`
	// SoakRequests is how many requests it takes, of a release and of the one
	// before, before error rates and latencies count. Default 50.
	SoakRequests int64 `json:"soak_requests,omitempty"`
	// MaxErrorRate is the share of requests that may fail beyond the share that
	// did before, above 0, at most 1. Default 0.05.
	MaxErrorRate float64 `json:"max_error_rate,omitempty"`
	// MaxSlowdown is how many times the median latency before the new one may be,
	// at least 1; -1 for any. Default 3.
	MaxSlowdown float64 `json:"max_slowdown,omitempty"`
	// MaxDrift is by how many standard deviations the mean of an output may move;
	// 0, as the default, for any.
	MaxDrift float64 `json:"max_drift,omitempty"`
	// WarmRuns is how often a release is run before requests come to it, up to
	// 100. 0, as the default, is 5; -1 for not at all.
	WarmRuns int `json:"warm_runs,omitempty"`
	// UnloadFirst unloads the active release before the next one is tried: the
	// model is unavailable for as long as that takes.
	UnloadFirst bool `json:"unload_first,omitempty"`
	// TrialSeconds bounds the child process that tries a release. Default 120.
	TrialSeconds int `json:"trial_seconds,omitempty"`
	// TrialMemoryBytes bounds its memory, without the mapped model file; Linux
	// only. Default 0, no bound: when memory runs out, the kernel ends it before
	// the node.
	TrialMemoryBytes int64 `json:"trial_memory_bytes,omitempty"`
	// Hooks tell other programs which release is active: of models of any format.
	Hooks hook.Set `json:"hooks,omitempty"`
	// WaveMinutes is how long a node waits for the word of those that try a
	// release before it, for each wave, see package health: 1 to 43200. 0, as the
	// default, is 10; -1 for no waves. A release that other nodes say is bad is
	// held back all the same.
	WaveMinutes int `json:"wave_minutes,omitempty"`
}

func (a Activation) validate() error {
	if a.SoakSeconds < -1 || a.WarmRuns < -1 || a.WarmRuns > 100 {
		return fmt.Errorf("activation: soak_seconds %d or warm_runs %d is out of range", a.SoakSeconds, a.WarmRuns)
	}
	if a.TrialSeconds < 0 || a.TrialSeconds > 86400 {
		return fmt.Errorf("activation: trial_seconds %d is not within 0 and 86400", a.TrialSeconds)
	}
	if a.MaxSlowdown < 0 && a.MaxSlowdown != -1 {
		return fmt.Errorf("activation: max_slowdown %v is neither at least 1 nor -1", a.MaxSlowdown)
	}
	if a.TrialMemoryBytes < 0 {
		return fmt.Errorf("activation: trial_memory_bytes %d is negative", a.TrialMemoryBytes)
	}
	if a.WaveMinutes < -1 || a.WaveMinutes > 43200 {
		return fmt.Errorf("activation: wave_minutes %d is neither within 0 and 43200 nor -1", a.WaveMinutes)
	}
	if err := errors.Join(a.soak().Validate(), a.Hooks.Validate()); err != nil {
		return fmt.Errorf("activation: %w", err)
	}
	return nil
}

// TrialTime bounds the child process that tries a release; 0 for the default.
func (a Activation) TrialTime() time.Duration { return time.Duration(a.TrialSeconds) * time.Second }

func (a Activation) soak() modelrt.Soak {
	if a.SoakSeconds == -1 {
		return modelrt.Soak{}
	}
	s := modelrt.DefaultSoak()
	if a.SoakSeconds != 0 {
		s.Duration = time.Duration(a.SoakSeconds) * time.Second
	}
	if a.SoakTries != 0 {
		s.Tries = a.SoakTries
	}
	if a.SoakRequests != 0 {
		s.MinRequests = a.SoakRequests
	}
	if a.MaxErrorRate != 0 {
		s.MaxErrorRate = a.MaxErrorRate
	}
	if a.MaxSlowdown != 0 {
		s.MaxSlowdown = max(a.MaxSlowdown, 0)
	}
	s.MaxDrift = a.MaxDrift
	return s
}

func (a Activation) warmRuns() int {
	const usual = 5
	if a.WarmRuns == 0 {
		return usual
	}
	return max(a.WarmRuns, 0)
}

func (a Activation) waves() health.Policy {
	p := health.DefaultPolicy()
	if a.WaveMinutes != 0 {
		p.Interval = time.Duration(max(a.WaveMinutes, 0)) * time.Minute
	}
	return p
}

func (n *Node) activatorConfig(engine modelrt.Engine, prober modelrt.Prober) modelrt.Config {
	a := n.config.Activation
	return modelrt.Config{
		StateDir: filepath.Join(n.dir, runtimeName), Engine: engine, Prober: prober, Logger: n.log,
		Checker: golden.Checker{}, WarmRuns: a.warmRuns(), Soak: a.soak(), UnloadFirst: a.UnloadFirst, Hooks: a.Hooks,
		AvailableMemory: func() (uint64, bool) {
			m := n.profile().Memory
			return m.AvailableBytes, m.TotalBytes > 0
		},
		Profile: func() json.RawMessage {
			text, err := json.Marshal(n.profile())
			if err != nil {
				n.log.Warn("evidence is kept without the machine's profile", slog.Any("error", err))
			}
			return text
		},
	}
}

// handedOver says whether another program runs the variant, which hooks tell of
// it.
func (n *Node) handedOver(model manifest.Model, v manifest.Variant) bool {
	return v.Format != "onnx" && n.config.Activation.Hooks.Matches(string(model))
}

// entryOf returns what of a variant's files is loaded: for another program the
// only file, or the folder of several.
func entryOf(paths []string, external bool) (string, error) {
	switch {
	case !external:
		return modelrt.ChooseEntry(paths)
	case len(paths) == 1:
		return paths[0], nil
	}
	return ".", nil
}
