package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

const (
	allowedName = "allowed.json"
	maxAllowed  = 1024 // the oldest are forgotten
)

// allowances are releases that the operator lets come in full over metered
// links, durable as allowed.json until they are here. Safe for concurrent use.
type allowances struct {
	path string

	mu   sync.Mutex // owns the rest
	list []api.Allowance
}

func loadAllowances(dir string) (*allowances, error) {
	a := &allowances{path: filepath.Join(dir, allowedName)}
	data, err := os.ReadFile(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is allowed: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a.list); err != nil {
		return nil, fmt.Errorf("%s: %w", a.path, err)
	}
	return a, nil
}

// has says whether the release is allowed.
func (a *allowances) has(release manifest.CID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.list, func(x api.Allowance) bool { return x.Manifest == release })
}

// add allows a release.
func (a *allowances) add(x api.Allowance) error {
	return a.change(func(list []api.Allowance) []api.Allowance {
		list = append(without(list, x.Manifest), x)
		return list[max(len(list)-maxAllowed, 0):]
	})
}

// drop forgets a release, which is here or not wanted any more.
func (a *allowances) drop(release manifest.CID) error {
	if !a.has(release) {
		return nil
	}
	return a.change(func(list []api.Allowance) []api.Allowance { return without(list, release) })
}

func without(list []api.Allowance, release manifest.CID) []api.Allowance {
	return slices.DeleteFunc(slices.Clone(list), func(x api.Allowance) bool { return x.Manifest == release })
}

// change keeps the new list only once it is durable.
func (a *allowances) change(edit func([]api.Allowance) []api.Allowance) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := edit(a.list)
	data, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return fmt.Errorf("write what is allowed: %w", err)
	}
	if err := durable.WriteFile(a.path, append(data, '\n'), 0o600); err != nil {
		return err
	}
	a.list = next
	return nil
}

// allow lets a release come in full over metered links.
func (n *Node) allow(_ context.Context, req api.ModelRequest, _ *api.Writer) (api.Allowance, error) {
	r, err := n.knownRelease(req)
	if err != nil {
		return api.Allowance{}, err
	}
	x := api.Allowance{Model: req.Model, Version: r.Version, Manifest: r.Manifest}
	if err := n.paths.allowed.add(x); err != nil {
		return x, err
	}
	n.board.touch()
	return x, nil
}
