package chunker

import (
	"encoding/binary"
	"fmt"
)

// span is the bytes of a file from start to end, both inside the file.
type span struct {
	start, end int64
}

func (m span) bytes() uint64 { return uint64(m.end - m.start) }

// cursor reads little-endian values forward through a span. The first error
// sticks: what is read after it is 0, so callers check err where they loop and
// where they are done.
type cursor struct {
	src    *source
	format string // for errors
	at     int64
	end    int64
	err    error
}

func (s *source) cursor(format string, m span) *cursor {
	return &cursor{src: s, format: format, at: m.start, end: m.end}
}

// fail sets the error, unless there is one, to a [FormatError] about byte at.
func (c *cursor) fail(at int64, reason string, args ...any) {
	if c.err == nil {
		c.err = c.src.malformed(c.format, at, reason, args...)
	}
}

func (c *cursor) left() uint64 { return uint64(c.end - c.at) }

// take returns the next n bytes, at most maxPeek, valid until the next call;
// nil after an error.
func (c *cursor) take(n int) []byte {
	if c.err != nil {
		return nil
	}
	if uint64(n) > c.left() {
		c.fail(c.at, "%d bytes wanted, %d left", n, c.left())
		return nil
	}
	data, err := c.src.peek(c.at, n)
	if err != nil {
		c.err = err
		return nil
	}
	c.at += int64(n)
	return data
}

func (c *cursor) u8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// run returns the span of the next n bytes, named what in errors, and goes
// past them without reading.
func (c *cursor) run(n uint64, what string) span {
	if c.err == nil && n > c.left() {
		c.fail(c.at, "%s of %d bytes, %d left", what, n, c.left())
	}
	if c.err != nil {
		return span{c.at, c.at}
	}
	m := span{c.at, c.at + int64(n)}
	c.at = m.end
	return m
}

// text reads n bytes as a name.
func (c *cursor) text(n uint64, what string) string {
	m := c.run(n, what)
	if c.err != nil {
		return ""
	}
	var name string
	name, c.err = c.src.text(m)
	return name
}

// quoted is a name as it stands in errors: short.
func quoted(name string) string { return fmt.Sprintf("%.80q", name) }
