package manifest

import "sort"

// Chunks is the list of a file's chunks: where each one lies. It is immutable
// and takes 8 bytes a chunk.
type Chunks struct {
	ends []uint64
}

// Chunks cuts the file. Every node derives the same cuts from the same layout:
//
//	cuts by content given:   as they stand
//	otherwise:
//	    a tensor of at least Chunk bytes is large; a segment begins at 0 and at
//	    the start of every large tensor, and ends where the next one begins
//	    a segment is cut every 2·Chunk bytes from its start; a rest shorter
//	    than Chunk/4 stays with the piece before it
//
// So a chunk begins at every large tensor, small tensors and the bytes between
// share chunks, and none has more than 2¼·Chunk bytes. A segment has at least
// Chunk bytes (but a file's first), and one of n pieces at least (2n-1¾)·Chunk,
// so digests of 32 bytes stay under 0.05 % of the file. The small rest keeps
// the bytes behind a tensor, which change when the graph is edited, out of the
// tensor's own chunks. Call Validate first.
func (l *Layout) Chunks() Chunks {
	if len(l.Cuts) > 0 {
		ends := make([]uint64, len(l.Cuts))
		var end uint64
		for i, n := range l.Cuts {
			end += uint64(n)
			ends[i] = end
		}
		return Chunks{ends}
	}
	var ends []uint64
	var start uint64
	for i := range l.Tensors {
		if t := &l.Tensors[i]; t.Length >= uint64(l.Chunk) && t.Offset > start {
			ends = appendCuts(ends, start, t.Offset, uint64(l.Chunk))
			start = t.Offset
		}
	}
	return Chunks{appendCuts(ends, start, l.Size, uint64(l.Chunk))}
}

// appendCuts cuts the segment from start to end.
func appendCuts(ends []uint64, start, end, chunk uint64) []uint64 {
	for end-start >= 2*chunk+chunk/4 {
		start += 2 * chunk
		ends = append(ends, start)
	}
	if end > start {
		ends = append(ends, end)
	}
	return ends
}

// Len returns the number of chunks; 0 for an empty file.
func (c Chunks) Len() int { return len(c.ends) }

// At returns where chunk i lies: its offset in the file and its length in
// bytes, 1 to [MaxChunkBytes]. It panics, as an index does, unless
// 0 <= i < Len().
func (c Chunks) At(i int) (offset uint64, length int) {
	if i > 0 {
		offset = c.ends[i-1]
	}
	return offset, int(c.ends[i] - offset)
}

// Find returns the index of the chunk that holds the byte at offset; Len() if
// offset is past the end.
func (c Chunks) Find(offset uint64) int {
	return sort.Search(len(c.ends), func(i int) bool { return c.ends[i] > offset })
}

// Bytes returns the sum of the lengths of the chunks in r, which must lie
// below Len().
func (c Chunks) Bytes(r Ranges) (total uint64) {
	for _, span := range r {
		if span.From < span.To {
			offset, _ := c.At(int(span.From))
			total += c.ends[span.To-1] - offset
		}
	}
	return total
}
