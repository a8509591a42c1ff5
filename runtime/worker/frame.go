package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// protocol is the version of the frames; both ends must speak the same one.
const protocol = 1

// kind says what a frame is.
type kind uint8

// What this process tells a worker, and what a worker answers.
const (
	kindLoad   kind = 1 // body: loadBody; the first frame, and the only one of its kind
	kindRun    kind = 2 // body: tensors, the inputs
	kindCancel kind = 3 // no body: stop the run of this id, if it is under way
	kindFree   kind = 4 // no body: the outputs of this id in the arena have been read

	kindLoaded kind = 17 // body: loadedBody
	kindResult kind = 18 // body: tensors, the outputs
	kindFailed kind = 19 // body: failure; of id 0: of the load
)

// headerBytes is the length of a frame's header: the kind, three zeros, the
// length of the body (uint32), the id of the run (uint64), little endian.
const headerBytes = 16

// maxBodyBytes bounds a frame's body, which holds no tensor data: the largest
// is a signature.
const maxBodyBytes = 2 << 20

// errFrame says that the other end broke the protocol; it must not be listened
// to any more.
var errFrame = errors.New("malformed frame")

// header begins a frame.
type header struct {
	kind kind
	body int // bytes
	id   uint64
}

// append appends the header's bytes.
func (h header) append(to []byte) []byte {
	to = append(to, byte(h.kind), 0, 0, 0)
	to = binary.LittleEndian.AppendUint32(to, uint32(h.body))
	return binary.LittleEndian.AppendUint64(to, h.id)
}

// decodeHeader is the reverse of append. It refuses unknown kinds, bodies over
// the bound, bodies where there must be none, and ids where there must be none.
func decodeHeader(b [headerBytes]byte) (header, error) {
	h := header{kind: kind(b[0]), id: binary.LittleEndian.Uint64(b[8:])}
	size := binary.LittleEndian.Uint32(b[4:])
	if b[1]|b[2]|b[3] != 0 {
		return h, fmt.Errorf("%w: header without its zeros", errFrame)
	}
	if size > maxBodyBytes {
		return h, fmt.Errorf("%w: body of %d bytes, at most %d", errFrame, size, maxBodyBytes)
	}
	h.body = int(size)
	ofRun := h.id != 0
	switch h.kind {
	case kindLoad, kindLoaded:
		ofRun = h.id == 0
	case kindRun, kindResult:
	case kindFailed:
		ofRun = true
	case kindCancel, kindFree:
		ofRun = ofRun && h.body == 0
	default:
		return h, fmt.Errorf("%w: kind %d", errFrame, h.kind)
	}
	if !ofRun {
		return h, fmt.Errorf("%w: kind %d with id %d and a body of %d bytes", errFrame, h.kind, h.id, h.body)
	}
	return h, nil
}

// readFrame reads a header and its body. An end before the first byte is io.EOF.
func readFrame(r io.Reader) (header, []byte, error) {
	var raw [headerBytes]byte
	if _, err := io.ReadFull(r, raw[:]); err != nil {
		return header{}, nil, err
	}
	h, err := decodeHeader(raw)
	if err != nil || h.body == 0 {
		return h, nil, err
	}
	body := make([]byte, h.body)
	if _, err := io.ReadFull(r, body); err != nil {
		return h, nil, fmt.Errorf("read body: %w", noEOF(err))
	}
	return h, body, nil
}

// noEOF makes an end in the middle of a frame an error of its own.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// inlineStep is how much is allocated at first for a tensor that travels
// inline; more only as bytes really arrive.
const inlineStep = 16 << 20

// readInline reads n bytes of a tensor.
func readInline(r io.Reader, n int64) ([]byte, error) {
	data := make([]byte, min(n, inlineStep))
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("read tensor: %w", noEOF(err))
	}
	for int64(len(data)) < n {
		have := len(data)
		grown := make([]byte, min(n, 2*int64(have)))
		copy(grown, data)
		if _, err := io.ReadFull(r, grown[have:]); err != nil {
			return nil, fmt.Errorf("read tensor: %w", noEOF(err))
		}
		data = grown
	}
	return data, nil
}
