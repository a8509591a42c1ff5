package sections

import (
	"context"
	"errors"
	"fmt"
	"io"
)

const (
	// windowBytes is a window of the first look.
	windowBytes = 4096
	// strideBytes is how far apart windows lie in a range that is not looked at
	// whole: an array shorter than that may be missed there.
	strideBytes = 64 << 10
	// wholeBytes is the longest range that is looked at whole.
	wholeBytes = 8 << 20
	// maxWindows bounds the first look in time and memory (128 MiB read, 5 MiB
	// held): beyond 2 GiB the stride grows. Looks between windows may double it.
	maxWindows = 1 << 15
	// windowMargin is the margin of windows, see [scale]: what is random has none.
	windowMargin = 64
	// changeBits is what a change of state costs in the first look.
	changeBits = 192
)

// scanner looks at windows of a range. It is not safe for concurrent use.
type scanner struct {
	ctx    context.Context //nolint:containedctx // of one scan, which owns the scanner
	r      io.ReaderAt
	offset int64 // of the range; all places below count from here
	length int64
	logs   *logs
	table  [states]state
	tally  tally
	seen   [repeatSlots]uint16
	buf    []byte
}

// window is one that was looked at.
type window struct {
	at   int64 // a multiple of 8
	n    int
	cost costs
}

// read returns n bytes at a place; they are good until the next read. It grows
// the buffer to what the package asks for, never to what a file claims.
func (s *scanner) read(at int64, n int) ([]byte, error) {
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	buf := s.buf[:n]
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	if got, err := s.r.ReadAt(buf, s.offset+at); got < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("sections: read %d bytes at %d: %w", n, s.offset+at, err)
	}
	return buf, nil
}

// look counts the window of n bytes at a place that is a multiple of 8.
func (s *scanner) look(at int64, n int) (window, error) {
	n = int(min(int64(n), s.length-at))
	w := window{at: at, n: n}
	lead := int(min(at, 1))
	buf, err := s.read(at-int64(lead), lead+n)
	if err != nil {
		return w, err
	}
	s.weigh(&w.cost, buf, lead, scale{widest: 8, margin: windowMargin})
	return w, nil
}

// survey looks at the range, whole if it is short and at windows in equal
// distances otherwise, then between windows of different states until those
// lie side by side or are too many. It returns the windows in order with their states.
func (s *scanner) survey() ([]window, []uint8, error) {
	stride := int64(windowBytes)
	if s.length > wholeBytes {
		stride = max(strideBytes, (s.length/maxWindows+windowBytes)&^(windowBytes-1))
	}
	windows := make([]window, 0, s.length/stride+1)
	for at := int64(0); at < s.length; at += stride {
		w, err := s.look(at, windowBytes)
		if err != nil {
			return nil, nil, err
		}
		windows = append(windows, w)
	}
	for {
		states := path(windows, changeBits*unit, -1, -1)
		more := make([]window, 0, len(windows))
		for i, w := range windows {
			more = append(more, w)
			if i+1 == len(windows) || states[i] == states[i+1] || w.at+windowBytes >= windows[i+1].at ||
				len(more)+len(windows)-i > 2*maxWindows {
				continue
			}
			middle := (w.at + (windows[i+1].at-w.at)/2) &^ (windowBytes - 1)
			added, err := s.look(middle, windowBytes)
			if err != nil {
				return nil, nil, err
			}
			more = append(more, added)
		}
		if len(more) == len(windows) {
			return windows, states, nil
		}
		windows = more
	}
}
