package delta

import (
	"io"
	"sort"

	"github.com/dunlin-mesh/dunlin/codec"
)

// view is a file with its containers seen through: in place of each packed run
// stand the bytes that it packs. It is an io.ReaderAt for several goroutines.
type view struct {
	file  io.ReaderAt
	size  int64
	parts []part // in order, covering the view
	files int64
}

// part is a run of a view.
type part struct {
	at, size int64       // in the view
	file     int64       // where it, or its packed form, lies in the file
	r        io.ReaderAt // its bytes, from 0; nil: the file's
	class    codec.Class // of unpacked elements
}

// newView returns the view of a file without containers.
func newView(r io.ReaderAt, size int64) *view {
	return &view{file: r, size: size, parts: []part{{size: size}}, files: size}
}

// ReadAt reads the bytes of the view at an offset.
func (v *view) ReadAt(p []byte, at int64) (n int, err error) {
	i := sort.Search(len(v.parts), func(i int) bool { return v.parts[i].at+v.parts[i].size > at })
	for ; len(p) > 0; i++ {
		if at < 0 || i >= len(v.parts) {
			return n, io.EOF
		}
		part := &v.parts[i]
		want := p[:min(int64(len(p)), part.at+part.size-at)]
		r, from := part.r, at-part.at
		if r == nil {
			r, from = v.file, part.file+at-part.at
		}
		got, err := r.ReadAt(want, from)
		n += got
		if got < len(want) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		p, at = p[got:], at+int64(got)
	}
	return n, nil
}

// source returns what a format is to be read from to learn the tensors of a
// part, and how its offsets become offsets of the view. The parts that are the
// file's own bytes are read as the whole file, because its format says where
// the tensors lie.
func (p *part) source(v *view) (r io.ReaderAt, size int64, base func(at, length int64) (int64, bool)) {
	if p.r != nil {
		return p.r, p.size, func(at, _ int64) (int64, bool) { return p.at + at, true }
	}
	return v.file, v.files, func(at, length int64) (int64, bool) {
		return p.at + at - p.file, at >= p.file && at+length <= p.file+p.size
	}
}
