package container

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// maxLEB is the longest form of an element of a width.
func maxLEB(width int) int64 { return int64(8*width+6) / 7 }

// lebReader reads signed LEB128 numbers in shortest form: seven bits to a
// byte, least significant first, the top bit set on all but the last, the last
// one's bit 6 being the sign (DWARF 5, section 7.6).
type lebReader struct {
	section section
	input   *bufio.Reader
}

func newLEBReader(r io.ReaderAt, offset, length int64) *lebReader {
	l := &lebReader{section: section{r: r, at: offset, end: offset + length}}
	l.input = bufio.NewReaderSize(&l.section, pieceBytes)
	return l
}

// next decodes numbers into values, as many as are there, and returns how many
// those are: io.EOF with 0 at the end. A number that is cut, not in shortest
// form or past 32 bits is ErrCorrupt.
func (l *lebReader) next(values []int32) (int, error) {
	buf, err := l.input.Peek(pieceBytes)
	if l.section.err != nil {
		return 0, l.section.err
	}
	if len(buf) == 0 {
		return 0, err
	}
	n, at := 0, 0
	for n < len(values) && at < len(buf) {
		b := buf[at]
		if b < 0x80 {
			values[n] = int32(b) << 25 >> 25
			at++
			n++
			continue
		}
		v, length := lebLong(buf[at:])
		if length == 0 {
			if n > 0 && len(buf)-at < int(maxLEB(4)) && l.more(len(buf)) {
				break // the rest comes with the next piece
			}
			return 0, fmt.Errorf("%w: no shortest leb128 of 32 bits", ErrCorrupt)
		}
		values[n] = v
		at += length
		n++
	}
	_, err = l.input.Discard(at)
	return n, err
}

// more says whether bytes follow the n that have been peeked at.
func (l *lebReader) more(n int) bool { return l.section.at < l.section.end && n == pieceBytes }

// lebLong decodes a number of more than one byte; length 0: it is none.
func lebLong(b []byte) (v int32, length int) {
	var x int64
	for i := range min(len(b), int(maxLEB(4))) {
		x |= int64(b[i]&0x7f) << (7 * i)
		if b[i] >= 0x80 {
			continue
		}
		shift := 64 - 7*(i+1)
		x = x << shift >> shift
		// Longer than needed if the last seven bits only repeat the sign.
		if last := b[i]; last == 0 && b[i-1]&0x40 == 0 || last == 0x7f && b[i-1]&0x40 != 0 {
			return 0, 0
		}
		if x < math.MinInt32 || x > math.MaxInt32 {
			return 0, 0
		}
		return int32(x), i + 1
	}
	return 0, 0
}

// measureLEB reads a run and describes it; ErrCorrupt if it is no LEB128.
func measureLEB(r io.ReaderAt, offset, length int64, spend func(int64) error) (Pack, error) {
	l := newLEBReader(r, offset, length)
	values := make([]int32, pieceBytes/4)
	var count int64
	wide := false
	for {
		n, err := l.next(values)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = spend(int64(n))
		}
		if err != nil {
			return Pack{}, err
		}
		count += int64(n)
		for _, v := range values[:n] {
			wide = wide || v != int32(int16(v))
		}
	}
	p := Pack{Offset: offset, Length: length, Kind: LEB128, Params: []byte{2}, Unpacked: 2 * count, DType: manifest.DType("i16")}
	if wide {
		p.Params, p.Unpacked, p.DType = []byte{4}, 4*count, "i32"
	}
	return p, nil
}

func (p *Pack) decodeLEB(r io.ReaderAt, w io.Writer) error {
	l := newLEBReader(r, p.Offset, p.Length)
	values := make([]int32, pieceBytes/4)
	out := make([]byte, 0, pieceBytes)
	width, left := int(p.Params[0]), p.Unpacked
	var err error
	for err == nil {
		var n int
		if n, err = l.next(values); err != nil {
			break
		}
		out = out[:0]
		for _, v := range values[:n] {
			if width == 4 {
				out = binary.LittleEndian.AppendUint32(out, uint32(v))
				continue
			}
			if v != int32(int16(v)) {
				err = fmt.Errorf("%w: %d in 16 bits", ErrCorrupt, v)
			}
			out = binary.LittleEndian.AppendUint16(out, uint16(v))
		}
		if left -= int64(len(out)); left < 0 {
			err = fmt.Errorf("%w: it unpacks to more than %d bytes", ErrCorrupt, p.Unpacked)
		}
		if err == nil {
			_, err = w.Write(out)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
		if left > 0 {
			err = fmt.Errorf("%w: it unpacks to %d bytes less", ErrCorrupt, left)
		}
	}
	if err != nil {
		return fmt.Errorf("unpack leb128 run of bytes %d+%d: %w", p.Offset, p.Length, err)
	}
	return nil
}

// encodeLEB writes the elements of a width from r, each in shortest form.
func encodeLEB(w io.Writer, r io.Reader, width int) error {
	in := make([]byte, pieceBytes)
	out := make([]byte, 0, pieceBytes/2*int(maxLEB(2)))
	for {
		n, err := io.ReadFull(r, in)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		out = out[:0]
		for p := in[:n]; len(p) >= width; p = p[width:] {
			var v int32
			if width == 2 {
				v = int32(int16(binary.LittleEndian.Uint16(p)))
			} else {
				v = int32(binary.LittleEndian.Uint32(p))
			}
			for v < -64 || v > 63 {
				out = append(out, byte(v)|0x80)
				v >>= 7
			}
			out = append(out, byte(v)&0x7f)
		}
		if len(out) > 0 {
			if _, err := w.Write(out); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}
