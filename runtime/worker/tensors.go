package worker

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// sharedFrom is the size in bytes from which a tensor lies in an arena. A
// smaller one is copied through the socket faster than it is allocated.
const sharedFrom = 4 << 10

// maxTensorsBytes bounds the tensors of one frame, all together.
const maxTensorsBytes = 2 * modelrt.MaxTensorBytes

// place is where a tensor of a frame lies.
type place struct {
	shape  []int64
	size   int64 // bytes, of type and shape
	shared bool
	offset int64 // in the arena, if shared
}

// Where a tensor lies, as a byte of a body.
const (
	inline   = 0 // its bytes follow the body, in the order of ports
	inShared = 1
)

// appendPlaces appends the body of a frame of tensors: for each port in the
// order of the signature one byte of rank, one of where it lies, the sizes of
// its dimensions, and if shared its offset; numbers are uint64, little endian.
// Names and types are the signature's, which both ends know.
func appendPlaces(to []byte, places []place) []byte {
	for _, p := range places {
		at := byte(inline)
		if p.shared {
			at = inShared
		}
		to = append(to, byte(len(p.shape)), at)
		for _, n := range p.shape {
			to = binary.LittleEndian.AppendUint64(to, uint64(n))
		}
		if p.shared {
			to = binary.LittleEndian.AppendUint64(to, uint64(p.offset))
		}
	}
	return to
}

// decodePlaces is the reverse of appendPlaces. It refuses whatever appendPlaces
// would not write, sizes over the bounds, and offsets outside an arena of arena
// bytes; it allocates no more than body has.
func decodePlaces(body []byte, ports []modelrt.Port, arena int64) ([]place, error) {
	places := make([]place, 0, min(len(ports), len(body)/2))
	var total int64
	for _, port := range ports {
		p, rest, err := decodePlace(body, port, arena)
		if err != nil {
			return nil, fmt.Errorf("%w: tensor %q: %w", errFrame, port.Name, err)
		}
		if total += p.size; total > maxTensorsBytes {
			return nil, fmt.Errorf("%w: tensors of more than %d bytes", errFrame, int64(maxTensorsBytes))
		}
		places, body = append(places, p), rest
	}
	if len(body) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the tensors", errFrame, len(body))
	}
	return places, nil
}

// decodePlace decodes one tensor's place and returns what follows it.
func decodePlace(body []byte, port modelrt.Port, arena int64) (p place, rest []byte, err error) {
	if len(body) < 2 {
		return p, nil, io.ErrUnexpectedEOF
	}
	rank, at := int(body[0]), body[1]
	body = body[2:]
	if rank > modelrt.MaxRank || at > inShared {
		return p, nil, fmt.Errorf("rank %d at place %d", rank, at)
	}
	if len(body) < 8*(rank+int(at)) {
		return p, nil, io.ErrUnexpectedEOF
	}
	p.shape = make([]int64, rank)
	for i := range p.shape {
		p.shape[i] = int64(binary.LittleEndian.Uint64(body))
		body = body[8:]
	}
	if p.size, err = modelrt.ByteSize(port.DType, p.shape); err != nil {
		return p, nil, err
	}
	if p.size > modelrt.MaxTensorBytes {
		return p, nil, fmt.Errorf("%d bytes, at most %d", p.size, int64(modelrt.MaxTensorBytes))
	}
	if at == inline {
		return p, body, nil
	}
	p.shared, p.offset = true, int64(binary.LittleEndian.Uint64(body))
	if p.size == 0 || p.offset < 0 || p.offset%blockBytes != 0 || p.offset > arena-p.size {
		return p, nil, fmt.Errorf("%d bytes at %d of an arena of %d", p.size, p.offset, arena)
	}
	return p, body[8:], nil
}

// placeTensors decides where the tensors of ports go: those that fit into
// a are copied there, the others will follow the body. It returns the blocks
// taken, which the caller gives back once the other end has read them. The
// tensors must be valid.
func placeTensors(ports []modelrt.Port, tensors map[string]modelrt.Tensor, a *arena) (places []place, taken []block) {
	places = make([]place, len(ports))
	for i, port := range ports {
		t := tensors[port.Name]
		places[i] = place{shape: t.Shape, size: int64(len(t.Data))}
		if len(t.Data) < sharedFrom {
			continue
		}
		if b, ok := a.put(t.Data); ok {
			places[i].shared, places[i].offset = true, b.offset
			taken = append(taken, b)
		}
	}
	return places, taken
}

// tensorFrame makes a frame of tensors that were placed; the bytes of those
// that travel inline are copied into it.
func tensorFrame(k kind, id uint64, ports []modelrt.Port, tensors map[string]modelrt.Tensor, places []place) []byte {
	size, following := headerBytes, int64(0)
	for _, p := range places {
		size += 2 + 8*len(p.shape) + 8
		if !p.shared {
			following += p.size
		}
	}
	frame := make([]byte, headerBytes, int64(size)+following)
	frame = appendPlaces(frame, places)
	header{kind: k, body: len(frame) - headerBytes, id: id}.append(frame[:0])
	for i, p := range places {
		if !p.shared {
			frame = append(frame, tensors[ports[i].Name].Data...)
		}
	}
	return frame
}

// readTensors reads the tensors that follow a body inline; those in an arena
// are left for the caller to fill in, with nil as their data.
func readTensors(r io.Reader, ports []modelrt.Port, places []place) ([]modelrt.Tensor, error) {
	tensors := make([]modelrt.Tensor, len(places))
	for i, p := range places {
		tensors[i] = modelrt.Tensor{DType: ports[i].DType, Shape: slices.Clip(p.shape)}
		if p.shared {
			continue
		}
		data, err := readInline(r, p.size)
		if err != nil {
			return nil, err
		}
		tensors[i].Data = data
	}
	return tensors, nil
}

// named gives tensors in the order of ports their names.
func named(ports []modelrt.Port, tensors []modelrt.Tensor) map[string]modelrt.Tensor {
	out := make(map[string]modelrt.Tensor, len(ports))
	for i, port := range ports {
		out[port.Name] = tensors[i]
	}
	return out
}
