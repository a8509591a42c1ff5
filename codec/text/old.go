package text

import (
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	pageBits  = 16
	pageBytes = 1 << pageBits

	// MinBudget is the least memory that an [Old] works with, in bytes.
	MinBudget = 1 << 20
	// DefaultBudget lets files of up to 8 MiB be held whole.
	DefaultBudget = 16 << 20
)

// Old is the basis: random access to the bytes of an old file, with an index
// to find those that came before. It reads and indexes lazily, near the hints
// first and as much as what is coded is worth, so making one costs nothing.
//
// What the index holds depends on the calls made, so an Old serves one [Model]
// and no other; it is not safe for concurrent use, though r may be shared.
type Old struct {
	r     io.ReaderAt
	size  int64
	pages [][]byte // page n lies in pages[n&mask], if tags[n&mask] == n
	tags  []int64
	mask  int64
	hint  int64
	err   error // the first read error; bytes after it count as zeros
	index index
}

// NewOld returns access to the size bytes of r with at most about budget bytes
// of memory, at least [MinBudget]; [DefaultBudget] is a good one. The encoding
// and the decoding side must give the same size and budget. Nothing is read
// before it is needed; read errors are returned by [Model.Code] and Err.
func NewOld(r io.ReaderAt, size int64, budget int) (*Old, error) {
	if r == nil || size < 0 {
		return nil, fmt.Errorf("old file of %d bytes: give a reader and a size of 0 or more", size)
	}
	if budget < MinBudget {
		return nil, fmt.Errorf("%d bytes of memory for the old file: give %d or more", budget, MinBudget)
	}
	o := &Old{r: r, size: size, hint: -1}
	slots := int64(1)
	want := (size + pageBytes - 1) >> pageBits
	if size > int64(budget)/2 {
		for slots = 1; slots*2*pageBytes <= int64(budget)/2; slots *= 2 {
		}
		want = slots
	}
	for slots < want {
		slots *= 2
	}
	o.pages, o.tags, o.mask = make([][]byte, slots), make([]int64, slots), slots-1
	for i := range o.tags {
		o.tags[i] = math.MinInt64
	}
	o.index.init(size, budget)
	return o, nil
}

// Hint says where what is coded next probably continues in the old file:
// an offset, or -1 if that is not known. [Model.Code] calls it.
func (o *Old) Hint(offset int64) {
	if offset < 0 || offset > o.size {
		offset = -1
	}
	o.hint = offset
}

// Err returns the first error of reading the old file, nil if there was none.
func (o *Old) Err() error { return o.err }

// at returns byte i, 0 outside of the file.
func (o *Old) at(i int64) byte {
	n := i >> pageBits
	if o.tags[n&o.mask] != n {
		return o.load(i)
	}
	// Past the end of the file the last page is filled with zeros.
	return o.pages[n&o.mask][i&(pageBytes-1)]
}

// load fetches the page of byte i and returns the byte.
func (o *Old) load(i int64) byte {
	if i < 0 || i >= o.size {
		return 0
	}
	n := i >> pageBits
	s := n & o.mask
	if o.pages[s] == nil {
		o.pages[s] = make([]byte, pageBytes)
	}
	page := o.pages[s]
	o.tags[s] = n
	length := min(o.size-n<<pageBits, pageBytes)
	got := 0
	if o.err == nil {
		var err error
		got, err = o.r.ReadAt(page[:length], n<<pageBits)
		if int64(got) < length {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			o.err = fmt.Errorf("read old file at %d: %w", n<<pageBits+int64(got), err)
		}
	}
	clear(page[got:])
	return page[i&(pageBytes-1)]
}

// read copies the bytes from off on into b, zeros for those outside.
func (o *Old) read(b []byte, off int64) {
	for len(b) > 0 {
		n := 1
		if off >= 0 && off < o.size {
			o.at(off)
			n = copy(b, o.pages[off>>pageBits&o.mask][off&(pageBytes-1):])
		} else {
			b[0] = 0
		}
		b, off = b[n:], off+int64(n)
	}
}

// common returns how many bytes before offset end equal those before the end of
// history, at most limit.
func (o *Old) common(end int64, h *history, limit int) int {
	limit = int(min(int64(limit), end, h.n))
	n := 0
	for n < limit && o.at(end-1-int64(n)) == h.at(h.n-1-int64(n)) {
		n++
	}
	return n
}
