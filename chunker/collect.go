package chunker

import (
	"cmp"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// maxTableBytes is what a tensor table may take in its layout's block; the
// rest of the block is for everything else in a layout.
const maxTableBytes = manifest.MaxBlockBytes - 4<<10

// tensorTable gathers tensors within the bounds of a layout. Where there are
// more than fit it keeps the largest: in the order of longest first, then
// lowest offset, then name, those before the first that does not fit. So what
// it keeps depends on the file alone, whatever it dropped on the way, and it
// never holds more than twice what fits.
type tensorTable struct {
	tensors []manifest.Tensor
	bytes   int  // encoded length of tensors
	dropped bool // some did not fit
}

// add takes a tensor; empty ones have no bytes to cut and are left out.
func (t *tensorTable) add(tensor manifest.Tensor) {
	if tensor.Length == 0 {
		return
	}
	t.tensors = append(t.tensors, tensor)
	t.bytes += encodedBytes(&tensor)
	if len(t.tensors) > 2*manifest.MaxTensors || t.bytes > 2*maxTableBytes {
		t.prune()
	}
}

// sorted returns what was kept in order of offset.
func (t *tensorTable) sorted() []manifest.Tensor {
	t.prune()
	slices.SortFunc(t.tensors, func(a, b manifest.Tensor) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), longestFirst(a, b))
	})
	return t.tensors
}

func (t *tensorTable) prune() {
	if len(t.tensors) <= manifest.MaxTensors && t.bytes <= maxTableBytes {
		return
	}
	slices.SortFunc(t.tensors, longestFirst)
	kept, bytes := 0, 0
	for kept < min(len(t.tensors), manifest.MaxTensors) {
		more := encodedBytes(&t.tensors[kept])
		if bytes+more > maxTableBytes {
			break
		}
		kept, bytes = kept+1, bytes+more
	}
	clear(t.tensors[kept:])
	t.tensors, t.bytes, t.dropped = t.tensors[:kept], bytes, true
}

func longestFirst(a, b manifest.Tensor) int {
	return cmp.Or(
		cmp.Compare(b.Length, a.Length),
		cmp.Compare(a.Offset, b.Offset),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.DType, b.DType),
		slices.Compare(a.Shape, b.Shape),
	)
}

// encodedBytes returns the length of a tensor in a dag-cbor block: an array of
// name, dtype, shape, offset and length (RFC 8949, section 3).
func encodedBytes(t *manifest.Tensor) int {
	n := 1 + headBytes(uint64(len(t.Name))) + len(t.Name) +
		headBytes(uint64(len(t.DType))) + len(t.DType) +
		headBytes(uint64(len(t.Shape))) +
		headBytes(t.Offset) + headBytes(t.Length)
	for _, dim := range t.Shape {
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

// firstOverlap returns the indices of the first two tensors, in order of
// offset, that share bytes.
func firstOverlap(tensors []manifest.Tensor) (first, second int, found bool) {
	for i := 1; i < len(tensors); i++ {
		if before := &tensors[i-1]; tensors[i].Offset < before.Offset+before.Length {
			return i - 1, i, true
		}
	}
	return 0, 0, false
}

// withoutOverlaps sorts tensors by offset and leaves one where several share
// bytes: the longest, which begins first. Equal regions are so one tensor.
func withoutOverlaps(tensors []manifest.Tensor) []manifest.Tensor {
	table := tensorTable{}
	for i := range tensors {
		table.add(tensors[i])
	}
	kept := table.sorted()
	out := kept[:0]
	for i := range kept {
		last := len(out) - 1
		switch {
		case last < 0 || kept[i].Offset >= out[last].Offset+out[last].Length:
			out = append(out, kept[i])
		case longestFirst(kept[i], out[last]) < 0:
			out[last] = kept[i]
		}
	}
	return out
}
