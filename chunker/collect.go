package chunker

import (
	"cmp"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// maxTableBytes is what a tensor table may take in its layout's block; the
// rest of the block is for everything else in a layout.
const maxTableBytes = manifest.MaxBlockBytes - 4<<10

// entry is a tensor as a file tells of it.
type entry struct {
	manifest.Tensor
	at       int64  // where the file tells of it, for errors
	location string // the file that holds it, "" for the one that tells of it
}

// tensorTable gathers tensors within the bounds of a layout. Where there are
// more than fit it keeps the largest: in the order of longest first, then
// lowest offset, then name, those before the first that does not fit. So what
// it keeps depends on the file alone, whatever it dropped on the way, and it
// never holds more than twice what fits. The zero value is empty.
type tensorTable struct {
	entries []entry
	bytes   int // encoded length of entries
}

// add takes a tensor; empty ones have no bytes to cut and are left out.
func (t *tensorTable) add(e entry) {
	if e.Length == 0 {
		return
	}
	t.entries = append(t.entries, e)
	t.bytes += encodedBytes(&e)
	if len(t.entries) > 2*manifest.MaxTensors || t.bytes > 2*maxTableBytes {
		t.prune()
	}
}

// sorted returns what was kept in order of offset.
func (t *tensorTable) sorted() []entry {
	t.prune()
	slices.SortFunc(t.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), longestFirst(a, b))
	})
	return t.entries
}

func (t *tensorTable) prune() {
	if len(t.entries) <= manifest.MaxTensors && t.bytes <= maxTableBytes {
		return
	}
	slices.SortFunc(t.entries, longestFirst)
	kept, bytes := 0, 0
	for kept < min(len(t.entries), manifest.MaxTensors) {
		more := encodedBytes(&t.entries[kept])
		if bytes+more > maxTableBytes {
			break
		}
		kept, bytes = kept+1, bytes+more
	}
	clear(t.entries[kept:])
	t.entries, t.bytes = t.entries[:kept], bytes
}

func longestFirst(a, b entry) int {
	return cmp.Or(
		cmp.Compare(b.Length, a.Length),
		cmp.Compare(a.Offset, b.Offset),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.DType, b.DType),
		slices.Compare(a.Shape, b.Shape),
		cmp.Compare(a.location, b.location),
	)
}

// encodedBytes returns the length of a tensor in a dag-cbor block: an array of
// name, dtype, shape, offset and length (RFC 8949, section 3).
func encodedBytes(e *entry) int {
	n := 1 + headBytes(uint64(len(e.Name))) + len(e.Name) +
		headBytes(uint64(len(e.DType))) + len(e.DType) +
		headBytes(uint64(len(e.Shape))) +
		headBytes(e.Offset) + headBytes(e.Length) + len(e.location)
	for _, dim := range e.Shape {
		n += headBytes(dim)
	}
	return n
}

// headBytes returns the length of a CBOR head with argument v.
func headBytes(v uint64) int {
	switch {
	case v < 24:
		return 1
	case v < 1<<8:
		return 2
	case v < 1<<16:
		return 3
	case v < 1<<32:
		return 5
	}
	return 9
}

// dropEqual leaves one of several tensors that are the same bytes: the first in
// order of name.
func (t *tensorTable) dropEqual() {
	t.entries = slices.CompactFunc(t.sorted(), func(a, b entry) bool {
		return a.Offset == b.Offset && a.Length == b.Length
	})
}

// separate returns the tensors in order of offset, or a [FormatError] if two
// of them share bytes.
func (t *tensorTable) separate(src *source, format string) ([]manifest.Tensor, error) {
	entries := t.sorted()
	tensors := make([]manifest.Tensor, len(entries))
	for i := range entries {
		e := &entries[i]
		if i > 0 {
			if before := &entries[i-1]; e.Offset < before.Offset+before.Length {
				return nil, src.malformed(format, e.at, "tensor %s, bytes %d+%d, overlaps %s, bytes %d+%d",
					quoted(e.Name), e.Offset, e.Length, quoted(before.Name), before.Offset, before.Length)
			}
		}
		tensors[i] = e.Tensor
	}
	return tensors, nil
}

// longest returns tensors in order of offset, of those that share bytes one:
// going up, a longer one takes the place of the one before. Equal regions are
// so one tensor.
func (t *tensorTable) longest() []manifest.Tensor {
	entries := t.sorted()
	kept := entries[:0]
	for _, e := range entries {
		last := len(kept) - 1
		switch {
		case last < 0 || e.Offset >= kept[last].Offset+kept[last].Length:
			kept = append(kept, e)
		case longestFirst(e, kept[last]) < 0:
			kept[last] = e
		}
	}
	tensors := make([]manifest.Tensor, len(kept))
	for i := range kept {
		tensors[i] = kept[i].Tensor
	}
	return tensors
}
