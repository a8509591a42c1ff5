package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// deltaLeast is how many bytes of a file must be missing for a delta to be asked
// for: the question and the answers cost something, too.
const deltaLeast = 64 << 10

// byDelta completes by deltas those files of a release of which an earlier
// version is here. What does not come that way is left to be fetched in chunks,
// which is said.
//
//	for each file with more than 64 KiB missing:
//	    nothing of this model is here:            chunks, as nothing else was to be expected
//	    no file that could be a basis is here:    chunks, and say so
//	    a peer has or makes a delta:              take it
//	    otherwise:                                chunks, and say why
//
// A repair is of single chunks, and no matter for deltas.
func (n *Node) byDelta(ctx context.Context, net *online, w want, m *manifest.Manifest, job transfer.Job, outside bool) error {
	files := job.Files
	n.routes.clear(w.Model)
	n.paths.askDelta(w.Manifest)
	if w.purpose == toRepair {
		return nil
	}
	held, err := n.heldOf(w.Model)
	if err != nil || len(held) == 0 {
		return err
	}
	var total, missing uint64
	for _, f := range files {
		total += f.Size
		missing += n.missingOf(f)
	}
	for _, f := range files {
		here := n.missingOf(f)
		if here < deltaLeast {
			continue
		}
		bases := basesFor(f, variantOf(m, f), held)
		if len(bases) == 0 {
			n.goesPlain(w, f, "no earlier version of it is here")
			continue
		}
		result, err := net.transfer.Delta(ctx, transfer.DeltaJob{
			Release: w.Manifest, File: f, Bases: idsOf(bases), Patience: n.patience(here), Errand: job.Errand, Outside: outside,
			Progress: func(p transfer.Progress) {
				e := entry{state: api.StateFetching, done: total - missing + p.StoredBytes, total: total}
				if p.Holders == 0 && p.StoredBytes < p.WantedBytes {
					e.state = api.StateWaiting
				}
				n.tell(w, e)
			},
		})
		missing -= min(missing, here-min(here, n.missingOf(f)))
		if none, ok := errors.AsType[*transfer.NoDeltaError](err); ok {
			n.log.Debug("no delta", slog.String("path", f.Path), slog.Any("error", err))
			n.goesPlain(w, f, string(none.Reason))
			if none.Reason != transfer.DeltaMostHere {
				n.paths.noDelta(w.Manifest, string(none.Reason))
			}
			continue
		}
		if err != nil {
			return err
		}
		n.cameByDelta(w, f, bases, result)
	}
	return nil
}

// mayComeAsDelta says whether some of the files may, which one node of a site
// fetches for all.
func (n *Node) mayComeAsDelta(w want, m *manifest.Manifest, files []manifest.File) bool {
	if w.purpose == toRepair {
		return false
	}
	held, err := n.heldOf(w.Model)
	return err == nil && slices.ContainsFunc(files, func(f manifest.File) bool {
		return n.missingOf(f) >= deltaLeast && len(basesFor(f, variantOf(m, f), held)) > 0
	})
}

// missingOf returns how many bytes of a file are not held.
func (n *Node) missingOf(f manifest.File) uint64 {
	held, err := holder{n.store}.Held(f.ID())
	if err != nil {
		return f.Size
	}
	chunks, err := n.chunksOf(f.Layout)
	if err != nil {
		return f.Size
	}
	return chunks.Bytes(manifest.NewRanges(0, chunks.Len()).Minus(held))
}

// chunksOf reads where the chunks of a file lie.
func (n *Node) chunksOf(layout manifest.CID) (manifest.Chunks, error) {
	data, err := n.store.Block(layout)
	if err != nil {
		return manifest.Chunks{}, err
	}
	var l manifest.Layout
	if err := manifest.Decode(data, &l); err != nil {
		return manifest.Chunks{}, fmt.Errorf("layout %s: %w", layout, err)
	}
	return l.Chunks(), nil
}

// patience is how long to wait for a peer that is fetching the file itself and
// gets nothing: as long as its chunks would take over this node's kind of link,
// within reason.
func (n *Node) patience(missing uint64) time.Duration {
	bytesPerSecond := map[Preset]uint64{LAN: 12_500_000, WAN: 1_250_000, Narrow: 8_000, Satellite: 8_000}[n.config.Preset]
	return min(max(time.Duration(missing/bytesPerSecond)*time.Second, 5*time.Minute), time.Hour)
}

// heldOf returns the files of complete variants of a model.
func (n *Node) heldOf(m manifest.Model) (held []heldFile, err error) {
	for h, err := range n.heldFiles(func(r store.Release) bool { return r.Model == m }) {
		if err != nil {
			return nil, err
		}
		held = append(held, h)
	}
	return held, nil
}

// variantOf returns the variant that a file is of, or where else it belongs.
func variantOf(m *manifest.Manifest, f manifest.File) string {
	same := func(o manifest.File) bool { return o.Path == f.Path && o.ID() == f.ID() }
	for _, v := range m.Variants {
		if slices.ContainsFunc(v.Files, same) {
			return v.Name
		}
	}
	if slices.ContainsFunc(m.Golden, same) {
		return store.Golden
	}
	return store.Report
}

// basesFor returns the files that a delta of f may be made against, the best
// ones first: of the same variant and path, then of the same path, then of the
// same kind by extension, then all others; among equals those of the newest
// release.
func basesFor(f manifest.File, variant string, held []heldFile) []heldFile {
	rank := func(h heldFile) int {
		switch {
		case h.variant == variant && h.file.Path == f.Path:
			return 0
		case h.file.Path == f.Path:
			return 1
		case path.Ext(h.file.Path) == path.Ext(f.Path):
			return 2
		}
		return 3
	}
	var bases []heldFile
	seen := map[manifest.FileID]bool{f.ID(): true}
	held = slices.Clone(held)
	slices.SortStableFunc(held, func(a, b heldFile) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.release.Sequence, a.release.Sequence))
	})
	for _, h := range held {
		if h.file.Size < deltaLeast/4 || seen[h.file.ID()] || len(bases) == transfer.MaxBases {
			continue // a tiny file is no basis
		}
		seen[h.file.ID()] = true
		bases = append(bases, h)
	}
	return bases
}

func idsOf(held []heldFile) []manifest.FileID {
	ids := make([]manifest.FileID, len(held))
	for i, h := range held {
		ids[i] = h.file.ID()
	}
	return ids
}

// goesPlain tells that, and why, a file is fetched in chunks although something
// of its model is here.
func (n *Node) goesPlain(w want, f manifest.File, why string) {
	n.log.Info("file comes in chunks, not as a delta", slog.String("model", string(w.Model)),
		slog.String("version", w.Version), slog.String("path", f.Path), slog.String("reason", why))
	n.routes.add(w.Model, api.Route{Version: w.Version, Path: f.Path, By: api.ByChunks, Reason: why})
}

func (n *Node) cameByDelta(w want, f manifest.File, bases []heldFile, r transfer.DeltaResult) {
	route := api.Route{Version: w.Version, Path: f.Path, By: api.ByDelta, DeltaBytes: r.Bytes, Bytes: f.Size}
	for _, b := range bases {
		if b.file.ID() == r.Basis {
			route.Basis = b.release.Version
			break
		}
	}
	n.log.Info("file came as a delta", slog.String("model", string(w.Model)), slog.String("version", w.Version),
		slog.String("path", f.Path), slog.String("basis", route.Basis), slog.Uint64("delta_bytes", r.Bytes),
		slog.Uint64("received", r.Received), slog.Uint64("bytes", f.Size))
	n.routes.add(w.Model, route)
}

// maxRoutes bounds the files of a release whose way is told.
const maxRoutes = 64

// routes remembers how the files of the newest release of each model come.
// Safe for concurrent use.
type routes struct {
	mu      sync.Mutex
	byModel map[manifest.Model][]api.Route
}

func (r *routes) clear(m manifest.Model) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byModel, m)
}

func (r *routes) add(m manifest.Model, route api.Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byModel == nil {
		r.byModel = make(map[manifest.Model][]api.Route)
	}
	if len(r.byModel[m]) < maxRoutes {
		r.byModel[m] = append(r.byModel[m], route)
	}
}

// of returns those of a version.
func (r *routes) of(m manifest.Model, version string) (out []api.Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, route := range r.byModel[m] {
		if route.Version == version {
			out = append(out, route)
		}
	}
	return out
}
