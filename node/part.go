package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
)

// part is a folder of staged files, laid out and hashed: a variant, or a golden
// set.
type part struct {
	staged  *store.Staged
	files   []manifest.File
	layouts []*manifest.Layout
	blocks  []manifest.Block
	chunks  int
	tensors int
}

// stage copies, lays out and hashes what lies at path.
func (n *Node) stage(ctx context.Context, path string, inPlace bool, options chunker.Options, out *api.Writer) (*part, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, api.Errorf(api.CodeUsage, "nothing to publish: %v", err)
	}
	out.Progress(api.Progress{What: "staging"})
	staged, err := n.store.Stage(ctx, path, inPlace)
	if err != nil {
		return nil, err
	}
	p := &part{staged: staged}
	if err := p.prepare(ctx, options, out); err != nil {
		return nil, errors.Join(err, staged.Discard())
	}
	return p, nil
}

func (p *part) prepare(ctx context.Context, options chunker.Options, out *api.Writer) error {
	var files []chunker.File
	var total int64
	for _, f := range p.staged.Files {
		total += f.Size
		files = append(files, chunker.File{
			Path: f.Path, Size: f.Size,
			Open: func() (chunker.Reader, error) { return os.Open(f.FullPath) },
		})
	}
	var err error
	if p.layouts, err = chunker.Layouts(ctx, files, options); err != nil {
		return err
	}
	var done int64
	for i, f := range p.staged.Files {
		progress := func(bytes int64) { out.Progress(api.Progress{What: "hashing", Done: done + bytes, Total: total}) }
		if err := p.hash(ctx, f, p.layouts[i], progress); err != nil {
			return err
		}
		done += f.Size
	}
	return nil
}

func (p *part) hash(ctx context.Context, f store.StagedFile, l *manifest.Layout, progress func(int64)) (err error) {
	in, err := os.Open(f.FullPath)
	if err != nil {
		return fmt.Errorf("hash: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	sum, err := chunker.Hash(ctx, in, l, progress)
	if err != nil {
		return err
	}
	layout, err := manifest.Encode(l)
	if err != nil {
		return fmt.Errorf("layout of %s: %w", f.Path, err)
	}
	digests, blocks, err := manifest.BuildDigests(sum.Digests)
	if err != nil {
		return fmt.Errorf("digests of %s: %w", f.Path, err)
	}
	p.files = append(p.files, manifest.File{
		Path: f.Path, Size: uint64(f.Size), SHA256: sum.SHA256, Layout: layout.CID, Digests: digests,
	})
	p.blocks = append(append(p.blocks, layout), blocks...)
	p.chunks += len(sum.Digests)
	p.tensors += len(l.Tensors)
	return nil
}

// format returns the layout format of the variant's main file: the model among
// its files, or else the largest one.
func (p *part) format() string {
	best, size := "bytes", uint64(0)
	for i, f := range p.files {
		format := p.layouts[i].Format
		if format == "onnx" && strings.HasSuffix(f.Path, ".onnx") {
			return format
		}
		if f.Size >= size {
			best, size = format, f.Size
		}
	}
	return best
}

// precision returns the element type that takes most of the bytes; empty if
// that is no number.
func (p *part) precision() string {
	bytes := make(map[manifest.DType]uint64)
	var best manifest.DType
	for _, l := range p.layouts {
		for _, t := range l.Tensors {
			bytes[t.DType] += t.Length
			if bytes[t.DType] > bytes[best] {
				best = t.DType
			}
		}
	}
	if best == manifest.Bytes {
		return ""
	}
	return string(best)
}
