package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// deltasName is the folder in a node's home for deltas that may be passed on,
// and for what has come of one.
const deltasName = "deltas"

// Bounds of that folder: a twentieth of the quota within these.
const (
	leastDeltaBytes = 16 << 20
	mostDeltaBytes  = 256 << 20
)

// deltaConfig is what transfer needs to know about deltas.
func (n *Node) deltaConfig() *transfer.DeltaConfig {
	most := int64(mostDeltaBytes)
	if q := n.config.QuotaBytes; q > 0 {
		most = int64(min(max(q/20, leastDeltaBytes), mostDeltaBytes))
	}
	return &transfer.DeltaConfig{
		Dir: filepath.Join(n.dir, deltasName), MaxBytes: most, Format: delta.FormatVersion, Coder: deltaCoder{filepath.Join(n.dir, deltasName)}, Open: n.openWhole,
		Spare: n.spareBytes,
	}
}

// spareBytes returns what the disk has beyond what is to be left free.
func (n *Node) spareBytes() (int64, error) {
	usage, err := n.store.Usage()
	if err != nil {
		return 0, err
	}
	return int64(usage.FreeBytes) - int64(n.config.MinFreeBytes), nil
}

// deltaCoder is package delta as transfer wants it. It leaves half of the
// processors to the models that are served.
type deltaCoder struct {
	temp string // where packed files are unpacked
}

func (c deltaCoder) options(e codec.Effort, dtype manifest.DType) delta.Options {
	return delta.Options{Effort: e, DType: dtype, Workers: max(goruntime.GOMAXPROCS(0)/2, 1), Temp: c.temp}
}

func versionOf(f transfer.WholeFile) delta.Version {
	return delta.Version{R: f, Size: f.Size, Name: f.Name}
}

// Encode implements transfer.DeltaCoder.
func (c deltaCoder) Encode(ctx context.Context, old, next transfer.WholeFile, w io.Writer, e codec.Effort) error {
	_, err := delta.Encode(ctx, versionOf(old), versionOf(next), w, c.options(e, next.DType))
	return err
}

// Decode implements transfer.DeltaCoder.
func (c deltaCoder) Decode(ctx context.Context, old transfer.WholeFile, r io.Reader, w io.Writer) error {
	err := delta.Decode(ctx, versionOf(old), r, w, c.options(codec.Strong, ""))
	for _, theirs := range []error{delta.ErrDelta, delta.ErrBasis, delta.ErrResult, delta.ErrVersion} {
		if errors.Is(err, theirs) { // the basis was compared with its digests before
			return fmt.Errorf("%w: %w", transfer.ErrCorrupt, err)
		}
	}
	return err
}

// openWhole opens a file that some release holds whole.
func (n *Node) openWhole(_ context.Context, id manifest.FileID) (transfer.WholeFile, error) {
	for held, err := range n.heldFiles(everyRelease) {
		if err != nil {
			return transfer.WholeFile{}, err
		}
		if held.file.ID() != id {
			continue
		}
		at, err := n.store.Locate(held.release.Manifest, held.variant)
		if err != nil {
			return transfer.WholeFile{}, err
		}
		for _, f := range at.Files {
			if f.Path != held.file.Path || !f.Complete {
				continue
			}
			file, err := os.Open(f.FullPath)
			if err != nil {
				return transfer.WholeFile{}, fmt.Errorf("open %s: %w", id, err)
			}
			return transfer.WholeFile{ReaderAt: file, Closer: file, Size: int64(f.Size), Name: filepath.Base(f.FullPath), DType: n.dtypeOf(id)}, nil
		}
	}
	return transfer.WholeFile{}, fmt.Errorf("file %s: %w", id, store.ErrNotHeld)
}

// dtypeOf returns what a file that is one array is made of, by its publisher's
// word.
func (n *Node) dtypeOf(id manifest.FileID) manifest.DType {
	data, err := n.store.Block(id.Layout)
	if err != nil {
		return ""
	}
	var l manifest.Layout
	if err := manifest.Decode(data, &l); err != nil || l.Format != "array" || len(l.Tensors) != 1 {
		return ""
	}
	return l.Tensors[0].DType
}

// heldFile is a file of which a release holds every chunk.
type heldFile struct {
	release store.Release
	variant string
	file    manifest.File
}

// everyRelease matches all.
func everyRelease(store.Release) bool { return true }

// heldFiles yields the files of the complete variants, golden sets and reports of
// the releases that match. Only their manifests are read.
func (n *Node) heldFiles(match func(store.Release) bool) func(yield func(heldFile, error) bool) {
	return func(yield func(heldFile, error) bool) {
		releases, err := n.store.Releases()
		if err != nil {
			yield(heldFile{}, err)
			return
		}
		for _, r := range releases {
			if !match(r.Release) {
				continue
			}
			m, err := n.manifest(r.Manifest)
			if err != nil {
				n.log.Debug("manifest is not at hand", slog.String("release", r.String()), slog.Any("error", err))
				continue
			}
			for _, v := range r.Variants {
				if !v.Complete {
					continue
				}
				for _, f := range filesOf(m, v.Name) {
					if !yield(heldFile{r.Release, v.Name, f}, nil) {
						return
					}
				}
			}
		}
	}
}

// filesOf returns the files of a variant, of the golden set or the report.
func filesOf(m *manifest.Manifest, variant string) []manifest.File {
	switch variant {
	case store.Golden:
		return m.Golden
	case store.Report:
		if m.Report == nil {
			return nil
		}
		return []manifest.File{*m.Report}
	}
	v, _ := m.Variant(variant)
	return v.Files
}
