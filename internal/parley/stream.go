package parley

import (
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// PatientReader reads a stream and allows the other side some silence before
// each read, however long the whole may take.
type PatientReader struct {
	Stream  network.Stream
	Silence time.Duration
}

// Read implements io.Reader.
func (r PatientReader) Read(p []byte) (int, error) {
	if err := r.Stream.SetReadDeadline(time.Now().Add(r.Silence)); err != nil {
		return 0, err
	}
	return r.Stream.Read(p)
}

// ReadExactly reads n bytes and allocates as they arrive, not as they are
// promised. An end before the last one is io.ErrUnexpectedEOF.
func ReadExactly(r io.Reader, n int) ([]byte, error) {
	const step = 4 << 10
	data := make([]byte, 0, min(n, step))
	for len(data) < n {
		if len(data) == cap(data) {
			data = append(make([]byte, 0, min(n, 2*cap(data))), data...)
		}
		got := data[len(data):min(n, cap(data))]
		if _, err := io.ReadFull(r, got); err != nil {
			return nil, CutShort(err)
		}
		data = data[:len(data)+len(got)]
	}
	return data, nil
}

// CutShort turns the end of a stream, where more was to come, into
// io.ErrUnexpectedEOF. It returns any other error as it is.
func CutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
