package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

const (
	latencyName     = "latency.json" // in the cache folder
	maxLatencies    = 1000
	maxLatencyBytes = 1 << 20
)

// latency is how long a run of a variant took here.
type latency struct {
	Model    manifest.Model   `json:"model"`
	Manifest string           `json:"manifest"`
	Variant  string           `json:"variant"`
	Provider modelrt.Provider `json:"provider"`
	Seconds  float64          `json:"seconds"`
	At       time.Time        `json:"at"`
}

// latencies are kept in a file of the cache; a lost file means estimates until
// the next activation.
type latencies struct {
	dir string

	mu  sync.Mutex
	all []latency // the newest last
}

func openLatencies(dir string, log *slog.Logger) *latencies {
	l := &latencies{dir: CacheDir(dir)}
	if err := l.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("measured latencies are forgotten", slog.Any("error", err))
	}
	return l
}

func (l *latencies) load() error {
	f, err := os.Open(filepath.Join(l.dir, latencyName))
	if err != nil {
		return err
	}
	defer f.Close() // read only: nothing can be lost
	data, err := io.ReadAll(io.LimitReader(f, maxLatencyBytes+1))
	if err != nil {
		return err
	}
	if len(data) > maxLatencyBytes {
		return fmt.Errorf("%s has more than %d bytes", latencyName, maxLatencyBytes)
	}
	var all []latency
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("%s: %w", latencyName, err)
	}
	l.all = slices.DeleteFunc(all, func(x latency) bool { return !(x.Seconds > 0) || x.Seconds > 1e6 })
	return nil
}

// of returns what was measured with this very release, or else with the newest
// other one of the model that has a variant of this name.
func (l *latencies) of(m manifest.Model, c manifest.CID, name string, p modelrt.Provider) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found latency
	for _, x := range l.all {
		if x.Model == m && x.Variant == name && x.Provider == p && found.Manifest != c.String() {
			found = x
		}
	}
	return time.Duration(found.Seconds * float64(time.Second)), found.Seconds > 0
}

// put writes one down in the place of an earlier one.
func (l *latencies) put(x latency) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(y latency) bool {
		return x.Model == y.Model && x.Manifest == y.Manifest && x.Variant == y.Variant && x.Provider == y.Provider
	})
	l.all = append(l.all, x)
	if over := len(l.all) - maxLatencies; over > 0 {
		l.all = slices.Delete(l.all, 0, over)
	}
	data, err := json.Marshal(l.all)
	if err == nil {
		err = durable.MkdirAll(l.dir, 0o700)
	}
	if err == nil {
		err = durable.WriteFile(filepath.Join(l.dir, latencyName), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep latency: %w", err)
	}
	return nil
}

// noteLatency writes down how long the runs took that warmed up what has just
// become active, of a release with several variants. Where none worked, since
// the model needs real inputs and has no golden set, it stays estimated.
func (n *Node) noteLatency(m *manifest.Manifest, w want, v manifest.Variant) {
	active, ok := n.activator.Active(string(w.Model))
	if len(m.Variants) < 2 || !ok || active.Warm == nil || active.Release.Release != w.Manifest.String() {
		return
	}
	row, _ := n.decide(m, w.Manifest).Row(v.Name)
	err := n.latencies.put(latency{
		Model: w.Model, Manifest: w.Manifest.String(), Variant: v.Name, Provider: row.Provider,
		Seconds: max(active.Warm.P50Millis/1e3, time.Microsecond.Seconds()), At: time.Now().UTC().Truncate(time.Second),
	})
	if err != nil {
		n.log.Warn("latency of a variant is not kept", slog.String("model", string(w.Model)), slog.String("variant", v.Name), slog.Any("error", err))
	}
}
