package delta

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta/sections"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// region is a run of bytes of a view that holds one kind of thing: the elements
// of a tensor, or something else, whose class is [codec.Other].
type region struct {
	at, size int64
	class    codec.Class
	name     string
	dtype    manifest.DType
	shape    []uint64
	cols     int // elements of a row, 0 if not known
}

func (r *region) end() int64 { return r.at + r.size }

// gapBytes is the least length of a run of unknown bytes that is searched for
// arrays.
const gapBytes = 1 << 10

// findRegions cuts two views into regions that cover them in order. Gaps of one
// length that follow each other alike in both are cut alike, so that what is
// recognised in the new file has its counterpart in the old one.
func findRegions(ctx context.Context, old, next *view, oldName, newName string, dtype manifest.DType) (olds, news []region, err error) {
	typed, err := typedRegions(ctx, next, newName, dtype)
	if err != nil {
		return nil, nil, fmt.Errorf("new file: %w", err)
	}
	known := map[int64][]region{} // what gaps of a length hold
	find := func(v *view, from, to int64) ([]region, error) {
		if same, ok := known[to-from]; ok && to-from >= gapBytes {
			shifted := slices.Clone(same)
			for i := range shifted {
				shifted[i].at += from - same[0].at
			}
			return shifted, nil
		}
		found, err := searchGap(ctx, v, from, to)
		if v == next && len(found) > 0 {
			known[to-from] = found
		}
		return found, err
	}
	if news, err = fillGaps(next, typed, find); err != nil {
		return nil, nil, fmt.Errorf("new file: %w", err)
	}
	if typed, err = typedRegions(ctx, old, oldName, dtype); err == nil {
		olds, err = fillGaps(old, typed, find)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("old file: %w", err)
	}
	return olds, news, nil
}

// typedRegions returns what a view's formats tell of, in order.
func typedRegions(ctx context.Context, v *view, name string, dtype manifest.DType) ([]region, error) {
	var typed []region
	of, err := blockTensors(ctx, v, name)
	if err != nil {
		return nil, err
	}
	for _, part := range v.parts {
		if part.strip != nil {
			t := of(part.file)
			typed = append(typed, part.strip.regions(part.at, fmt.Sprintf("%s@%d", t.Name, part.file-int64(t.Offset)), t.Shape)...)
			continue
		}
		if part.class != codec.Other {
			cols, err := sections.Cols(ctx, v, part.at, part.size, part.class)
			if err != nil {
				return nil, err
			}
			typed = append(typed, region{at: part.at, size: part.size, class: part.class, cols: cols}.wholeRows()...)
			continue
		}
		found, err := tensors(ctx, v, part, name, dtype)
		if err != nil {
			return nil, err
		}
		typed = append(typed, found...)
	}
	sort.SliceStable(typed, func(i, j int) bool { return typed[i].at < typed[j].at })
	return typed, nil
}

// fillGaps adds to typed regions those between them.
func fillGaps(v *view, typed []region, find func(v *view, from, to int64) ([]region, error)) ([]region, error) {
	var regions []region
	at := int64(0)
	for _, t := range append(typed, region{at: v.size}) {
		if t.at < at {
			continue // two parts tell of the same bytes: the first stands
		}
		if t.at > at {
			found, err := find(v, at, t.at)
			if err != nil {
				return nil, err
			}
			regions = append(regions, found...)
		}
		if t.size > 0 {
			regions = append(regions, t)
		}
		at = t.end()
	}
	return regions, nil
}

// searchGap returns the regions of bytes that no format tells about.
func searchGap(ctx context.Context, v *view, from, to int64) ([]region, error) {
	if to-from < gapBytes {
		return []region{{at: from, size: to - from}}, nil
	}
	found, err := sections.Find(ctx, v, from, to-from)
	if err != nil {
		return nil, err
	}
	var regions []region
	for _, s := range found {
		regions = append(regions, region{at: s.Offset, size: s.Length, class: s.Class, cols: s.Cols}.wholeRows()...)
	}
	return regions, nil
}

// wholeRows cuts what follows the last whole row off an array: the rest is
// something else, and rows alone make a matrix.
func (r region) wholeRows() []region {
	row := int64(r.cols * r.class.Width())
	if row <= 0 || r.size < 2*row || r.size%row == 0 {
		return []region{r}
	}
	tail := r
	r.size -= r.size % row
	tail.at, tail.size, tail.cols = r.end(), tail.size-r.size, 0
	return []region{r, tail}
}

// tensors returns the tensors that the format of a part tells of. A part that
// breaks the rules of its format is bytes.
func tensors(ctx context.Context, v *view, part part, name string, dtype manifest.DType) ([]region, error) {
	r, size, base := part.source(v)
	l, err := chunker.Layout(ctx, r, size, name, chunker.Options{DType: dtype, Structure: true})
	if errors.Is(err, chunker.ErrMalformed) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var regions []region
	for _, t := range l.Tensors {
		at, ok := base(int64(t.Offset), int64(t.Length))
		if !ok {
			continue
		}
		g := region{at: at, size: int64(t.Length), class: codec.ClassOf(t.DType), name: t.Name, dtype: t.DType, shape: t.Shape}
		if g.class == codec.Other && g.size >= gapBytes && t.DType == "bytes" {
			// An entry of an archive: what it holds, its bytes must tell.
			found, err := searchGap(ctx, v, g.at, g.end())
			if err != nil {
				return nil, err
			}
			for i := range found {
				found[i].name = t.Name
			}
			regions = append(regions, found...)
			continue
		}
		if g.class != codec.Other {
			g.size -= g.size % int64(g.class.Width())
			if g.cols = rowLength(t.Shape); l.Format == "array" {
				if g.cols, err = sections.Cols(ctx, v, g.at, g.size, g.class); err != nil {
					return nil, err
				}
			}
		}
		if g.size > 0 {
			regions = append(regions, g)
		}
	}
	return regions, nil
}

// blockTensors returns what tells the tensor of a file that holds an offset.
func blockTensors(ctx context.Context, v *view, name string) (func(at int64) *manifest.Tensor, error) {
	l := &manifest.Layout{}
	if slices.ContainsFunc(v.parts, func(p part) bool { return p.strip != nil }) {
		var err error
		if l, err = chunker.Layout(ctx, v.file, v.fileSize, name, chunker.Options{Structure: true}); err != nil {
			return nil, err
		}
	}
	return func(at int64) *manifest.Tensor {
		i := sort.Search(len(l.Tensors), func(i int) bool { return l.Tensors[i].Offset+l.Tensors[i].Length > uint64(at) })
		if i == len(l.Tensors) {
			return &manifest.Tensor{}
		}
		return &l.Tensors[i]
	}, nil
}

// rowLength returns the elements of a row of a tensor: all dimensions but the
// first that is not 1.
func rowLength(shape []uint64) int {
	for len(shape) > 0 && shape[0] == 1 {
		shape = shape[1:]
	}
	if len(shape) < 2 {
		return 0
	}
	n := uint64(1)
	for _, d := range shape[1:] {
		if n *= d; n > maxCols {
			return 0
		}
	}
	return int(n)
}

// maxCols bounds the elements of a row.
const maxCols = 1 << 16
