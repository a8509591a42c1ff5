package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ideal is what an update costs at the least with general tools: the smallest
// result of any, once for each site, at line rate.
type ideal struct {
	Bytes    int64            `json:"bytes"`
	Tools    map[string]int64 `json:"tools,omitempty"` // bytes of each
	Measured bool             `json:"measured"`        // in this run, else known from an earlier one
}

// idealOf runs the general tools on a workload, in dir. Those that are not
// installed are left out; if none is, the known figure is taken.
func idealOf(ctx context.Context, w work, old, updated []byte, dir string) (ideal, error) {
	before, after, out := filepath.Join(dir, "old"), filepath.Join(dir, "new"), filepath.Join(dir, "out")
	if err := errors.Join(os.WriteFile(before, old, 0o600), os.WriteFile(after, updated, 0o600)); err != nil {
		return ideal{}, err
	}
	commands := map[string][]string{"zstd -19": {"zstd", "-q", "-f", "-19", after, "-o", out}}
	if old != nil {
		commands["zstd --patch-from"] = []string{"zstd", "-q", "-f", "-19", "--patch-from=" + before, after, "-o", out}
		commands["xdelta3 -9"] = []string{"xdelta3", "-q", "-f", "-e", "-9", "-s", before, after, out}
	}
	best := ideal{Bytes: w.knownIdeal, Tools: make(map[string]int64)}
	for name, c := range commands {
		if _, err := exec.LookPath(c[0]); err != nil {
			continue
		}
		if text, err := exec.CommandContext(ctx, c[0], c[1:]...).CombinedOutput(); err != nil {
			return ideal{}, fmt.Errorf("%s: %w: %s", name, err, text)
		}
		info, err := os.Stat(out)
		if err != nil {
			return ideal{}, err
		}
		best.Tools[name] = info.Size()
		if !best.Measured || info.Size() < best.Bytes {
			best.Bytes, best.Measured = info.Size(), true
		}
	}
	return best, nil
}
