package deflate

import (
	"encoding/binary"
	"io"
	"math/bits"
)

// Geometry of the window. A match reaches back no further than maxDist, so
// that a whole match and what decides on it fit into the window behind it.
const (
	windowBytes  = 32 << 10
	bufferBytes  = 2 * windowBytes
	minLookahead = maxMatch + minMatch + 1
	maxDist      = windowBytes - minLookahead
	tooFar       = 4096 // a match of three bytes from further away costs more than it saves
)

// MaxSteps is how many candidates for a match may be compared for each byte of
// input on average, beside 67 million for free. Models take up to 30 at level
// 9, program text 45, pruned f32 weights 210; random bits as bytes 570, at
// which zlib makes 0.2 MB/s.
const (
	MaxSteps  = 256
	freeSteps = 1 << 26
)

// Encoder compresses as a recipe says. It holds about 500 KiB, may be used
// again after [Encoder.Encode] has returned, whatever it returned, and is for
// one goroutine at a time. Make it with [NewEncoder].
type Encoder struct {
	src   io.Reader
	out   bitWriter
	block block
	effort
	trait
	level int
	steps int64 // work still allowed
	read  int64

	// The input is in window[:start+lookahead]; start is the next byte to code
	// and from the first byte of the block, negative if that has slid out. What
	// is behind start+lookahead is stale or zero.
	window          [bufferBytes + 8]byte
	start           int
	lookahead       int
	from            int
	drained, closed bool // the source is at its end; and that has been noticed

	// head holds the last position of each hash, prev the one before; 0 is none.
	head [1 << 16]uint16
	prev [windowBytes]uint16
}

// NewEncoder returns an encoder.
func NewEncoder() *Encoder {
	e := new(Encoder)
	e.block.init()
	return e
}

// Encode reads src to its end and writes it compressed to w, as one raw deflate
// stream, in pieces of about 32 KiB. It returns how many bytes it read and the
// first error of src or w, as it is, or [ErrRecipe], or [ErrEffort].
func (e *Encoder) Encode(w io.Writer, src io.Reader, r Recipe) (int64, error) {
	if _, err := ParseRecipe(r.AppendBinary(nil)); err != nil {
		return 0, err
	}
	e.src, e.level = src, int(r.Level)
	e.effort, e.trait = efforts[r.Level], traits[r.Family]
	e.out.reset(w)
	e.block.limit = e.symbols
	e.block.clear()
	e.start, e.lookahead, e.from, e.read = 0, 0, 0, 0
	e.drained, e.closed = false, false
	e.steps = freeSteps
	clear(e.window[:])
	clear(e.head[:])
	var err error
	if r.Level <= greedy {
		err = e.encodeGreedy()
	} else {
		err = e.encodeLazy()
	}
	e.src, e.out.w = nil, nil
	return e.read, err
}

// fill makes room in the window if little is left, and reads into it.
func (e *Encoder) fill() error {
	for e.lookahead < minLookahead && (!e.still || !e.closed) {
		if e.start >= windowBytes+maxDist {
			e.slide()
		}
		if e.drained {
			if e.still && !e.closed {
				clear(e.window[e.start+e.lookahead:][:minMatch-1])
			}
			e.closed = true
			return nil
		}
		n, err := readFull(e.src, e.window[e.start+e.lookahead:bufferBytes])
		e.lookahead += n
		e.read += int64(n)
		e.steps += int64(n) * MaxSteps
		if err == io.EOF { //nolint:errorlint // a wrapped io.EOF is no end
			e.drained = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// readFull fills p; the error is io.EOF where the source ends, even if p has
// some of it, which tells the end from io.ErrUnexpectedEOF of the source.
func readFull(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// slide moves the window on by half. Positions before it become none.
func (e *Encoder) slide() {
	copy(e.window[:windowBytes], e.window[windowBytes:bufferBytes])
	e.start -= windowBytes
	e.from -= windowBytes
	slide(e.head[:1<<e.hashBits])
	slide(e.prev[:])
}

func slide(table []uint16) {
	for i, at := range table {
		table[i] = at & 0x7fff & -(at >> 15)
	}
}

// index adds the three bytes at a position to the table and returns the last
// position of the same hash.
func (e *Encoder) index(at int) int {
	w := binary.LittleEndian.Uint32(e.window[at:])
	s := uint(e.hashShift)
	h := (w&0xff<<(2*s) ^ w>>8&0xff<<s ^ w>>16&0xff) & (1<<e.hashBits - 1)
	last := e.head[uint16(h)]
	e.prev[at&(windowBytes-1)] = last
	e.head[uint16(h)] = uint16(at)
	return int(last)
}

// reachable says whether a match may be looked for from candidate on.
func (e *Encoder) reachable(candidate int) bool {
	return candidate != 0 && e.start-candidate <= maxDist && (!e.still || e.start <= bufferBytes-minLookahead)
}

// longest looks along the chain from candidate for the longest match that is
// longer than best, and returns it and where it lies; best itself if there is
// none. The first of several is taken.
func (e *Encoder) longest(candidate, best int) (length, at int) {
	start, w := e.start, &e.window
	chain, nice := e.chain, e.nice
	if best >= e.good {
		chain /= 4
	}
	if !e.past {
		nice = min(nice, e.lookahead)
	}
	lowest := max(0, start-maxDist)
	first := binary.LittleEndian.Uint16(w[start:])
	tail := binary.LittleEndian.Uint16(w[start+best-1:])
	left := chain
	for {
		if binary.LittleEndian.Uint16(w[candidate+best-1:]) == tail && binary.LittleEndian.Uint16(w[candidate:]) == first {
			if n := e.common(candidate, start); n > best {
				at, best = candidate, n
				if n >= nice {
					break
				}
				tail = binary.LittleEndian.Uint16(w[start+best-1:])
			}
		}
		candidate = int(e.prev[candidate&(windowBytes-1)])
		if candidate <= lowest {
			break
		}
		if left--; left == 0 {
			break
		}
	}
	e.steps -= int64(chain - left)
	return min(best, e.lookahead), at
}

// common returns how many bytes are equal at two positions, at most maxMatch.
func (e *Encoder) common(a, b int) int {
	n := 0
	for ; n+8 <= maxMatch; n += 8 {
		x := binary.LittleEndian.Uint64(e.window[a+n:]) ^ binary.LittleEndian.Uint64(e.window[b+n:])
		if x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < maxMatch && e.window[a+n] == e.window[b+n] {
		n++
	}
	return n
}

// flush writes the block, which ends at start.
func (e *Encoder) flush(last bool) error {
	var raw []byte
	if e.from >= 0 {
		raw = e.window[e.from:e.start]
	}
	e.block.write(&e.out, raw, e.start-e.from, last)
	e.from = e.start
	if last {
		e.out.flush()
	}
	if e.steps < 0 && e.out.err == nil {
		return ErrEffort
	}
	return e.out.err
}
