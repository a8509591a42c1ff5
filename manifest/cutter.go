package manifest

// Cutter cuts a file that is written to it in order into its chunks. The zero
// value is of no use; one goroutine uses it.
type Cutter struct {
	// Chunks are those of the file.
	Chunks Chunks
	// Put takes each chunk as soon as it is whole. It keeps no reference to data.
	Put func(i int, data []byte) error
	// Past is what Write returns once more is written than the file has.
	Past error

	next int    // chunk that is being filled
	data []byte // what came of it
	err  error  // the first
}

// Write implements io.Writer. It returns the first error of Put, or
// Past, and the same one from then on.
func (c *Cutter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && c.err == nil; {
		if c.next >= c.Chunks.Len() {
			c.err = c.Past
			break
		}
		_, length := c.Chunks.At(c.next)
		n := min(length-len(c.data), len(rest))
		c.data, rest = append(c.data, rest[:n]...), rest[n:]
		if len(c.data) < length {
			break
		}
		if c.err = c.Put(c.next, c.data); c.err == nil {
			c.next, c.data = c.next+1, c.data[:0]
		}
	}
	if c.err != nil {
		return 0, c.err
	}
	return len(p), nil
}

// Err returns the first error of Write.
func (c *Cutter) Err() error { return c.err }

// Cut returns how many chunks were put, and whether that is all of the file and
// nothing waits for the rest of a chunk.
func (c *Cutter) Cut() (chunks int, whole bool) {
	return c.next, c.next == c.Chunks.Len() && len(c.data) == 0
}
