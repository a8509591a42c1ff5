package transfer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// pieceBytes is how much is read or written between two looks at the clock.
const pieceBytes = 64 << 10

// conn is a stream with messages on it. One goroutine reads and one writes.
type conn struct {
	stream     network.Stream
	in         *bufio.Reader
	out        *bufio.Writer
	buf        []byte // of the reader
	messageIn  time.Duration
	writeStall time.Duration
	counters   []*traffic // of the transfer and of the peer
}

// traffic counts bytes on streams.
type traffic struct {
	received, sent atomic.Uint64
}

// newConn wraps the stream. A message must arrive within messageIn once it has
// begun, and 64 KiB be taken by the peer within writeStall.
func newConn(stream network.Stream, writeBuffer int, messageIn, writeStall time.Duration, counters ...*traffic) *conn {
	c := &conn{stream: stream, messageIn: messageIn, writeStall: writeStall, counters: counters}
	c.in = bufio.NewReaderSize(readerFunc(c.read), 4<<10)
	c.out = bufio.NewWriterSize(writerFunc(c.write), writeBuffer)
	return c
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (c *conn) read(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	for _, t := range c.counters {
		t.received.Add(uint64(n))
	}
	return n, err
}

// write gives the peer a stretch of time in proportion to the bytes.
func (c *conn) write(p []byte) (int, error) {
	pieces := (len(p) + pieceBytes - 1) / pieceBytes
	if err := c.stream.SetWriteDeadline(time.Now().Add(time.Duration(pieces) * c.writeStall)); err != nil {
		return 0, err
	}
	n, err := c.stream.Write(p)
	for _, t := range c.counters {
		t.sent.Add(uint64(n))
	}
	return n, err
}

// send buffers a message; flush sends what is buffered.
func (c *conn) send(m manifest.Validator) error {
	b, err := manifest.Encode(m)
	if err != nil {
		return err
	}
	if len(b.Data) > MaxMessageBytes {
		return fmt.Errorf("message of %d bytes, at most %d", len(b.Data), MaxMessageBytes)
	}
	if _, err := c.out.Write(binary.AppendUvarint(nil, uint64(len(b.Data)))); err != nil {
		return err
	}
	_, err = c.out.Write(b.Data)
	return err
}

func (c *conn) flush() error { return c.out.Flush() }

// receive reads a message. With idle over 0 the message must begin within idle
// and then be complete within messageIn; with 0 somebody else watches the
// clock. A message that breaks the bounds or the encoding yields an error that
// wraps [ErrProtocol]; io.EOF says that the peer closed between two messages.
func (c *conn) receive(idle time.Duration) (*message, error) {
	m := &message{}
	return m, c.receiveInto(idle, m)
}

// receiveInto is receive for messages of any kind.
func (c *conn) receiveInto(idle time.Duration, m manifest.Validator) error {
	if idle > 0 {
		if err := c.stream.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return err
		}
	}
	if _, err := c.in.Peek(1); err != nil {
		return err
	}
	if idle > 0 {
		if err := c.stream.SetReadDeadline(time.Now().Add(c.messageIn)); err != nil {
			return err
		}
	}
	err := readInto(c.in, &c.buf, m)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// readInto reads a message from r into m; buf is memory to be used again.
func readInto(r *bufio.Reader, buf *[]byte, m manifest.Validator) error {
	length, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	if length > MaxMessageBytes {
		return fmt.Errorf("%w: message of %d bytes, at most %d", ErrProtocol, length, MaxMessageBytes)
	}
	if cap(*buf) < int(length) {
		*buf = make([]byte, max(length, 512))
	}
	data := (*buf)[:length]
	if _, err := io.ReadFull(r, data); err != nil {
		return err
	}
	if err := manifest.Decode(data, m); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return nil
}

// payload fills buf with the bytes after a message. It calls progress after
// each piece with the bytes of it.
func (c *conn) payload(buf []byte, progress func(n int)) error {
	for len(buf) > 0 {
		n, err := c.in.Read(buf[:min(len(buf), pieceBytes)])
		if n > 0 {
			progress(n)
		}
		if buf = buf[n:]; err != nil && len(buf) > 0 {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}
