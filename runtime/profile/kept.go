package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
)

// keptName is the file of what was found by trying and measuring.
const keptName = "profile.json"

const (
	keptSchema   = 1
	maxKeptBytes = 1 << 20
)

// kept is what does not change before the key does.
type kept struct {
	Schema         int        `json:"schema"`
	Key            string     `json:"key"`
	Providers      []Provider `json:"providers"`
	BandwidthBytes float64    `json:"memory_bytes_per_second,omitempty"`
	MeasuredAt     time.Time  `json:"measured_at"`
}

// keyOf is a hash of all that may change whether and how well a provider works:
// the library, the kernel, the drivers and their devices, instruction sets and
// usable cores.
func keyOf(p Profile) string {
	text, err := json.Marshal(struct {
		OS, Arch, Kernel, CPU, Library string
		ISA                            []string
		CPUs                           float64
		Accelerators                   []Accelerator
	}{p.OS, p.Arch, p.Kernel, p.CPU, p.Engine.LibrarySHA256, p.ISA, p.CPUs, p.Accelerators})
	if err != nil { // strings and numbers only
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// readKept reads the file, if it is one and of this key. Anything else means to
// measure again.
func readKept(dir, key string) (kept, bool) {
	f, err := os.Open(filepath.Join(dir, keptName))
	if err != nil {
		return kept{}, false
	}
	defer f.Close() // read only: nothing can be lost
	data, err := io.ReadAll(io.LimitReader(f, maxKeptBytes+1))
	if err != nil || len(data) > maxKeptBytes {
		return kept{}, false
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return kept{}, false
	}
	return k, k.Schema == keptSchema && k.Key == key && key != ""
}

// has tells whether all that cfg asks for was found.
func (k kept) has(cfg Config) bool {
	for _, name := range cfg.Providers {
		i := slices.IndexFunc(k.Providers, func(p Provider) bool { return p.Name == name })
		if i < 0 || (k.Providers[i].Usable && k.Providers[i].Speed == nil && !cfg.NoSpeed) {
			return false
		}
	}
	return true
}

// into completes what was read of the machine.
func (k kept) into(p Profile) Profile {
	p.Providers, p.BandwidthBytes, p.MeasuredAt = k.Providers, k.BandwidthBytes, k.MeasuredAt
	return p
}

func keep(dir, key string, p Profile) error {
	data, err := json.MarshalIndent(kept{
		Schema: keptSchema, Key: key, Providers: p.Providers, BandwidthBytes: p.BandwidthBytes, MeasuredAt: p.MeasuredAt,
	}, "", "  ")
	if err == nil {
		err = durable.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = durable.WriteFile(filepath.Join(dir, keptName), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep profile: %w", err)
	}
	return nil
}
