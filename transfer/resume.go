package transfer

import (
	"crypto/sha256"
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// A frame that was cut off is gone on with, at the same peer or another one: the
// client says how many bytes of it are here and what their sha256 is, and a
// server whose frame begins with the same bytes sends the rest. So a chunk that
// takes longer than a link holds comes all the same. Peers that code with the
// same effort, as on all narrow links, make the same frames.

const (
	maxParts     = 32 // frames cut off that are kept, of one fetch
	maxPartBytes = 4 << 20
	leastPart    = 1 << 10 // fewer bytes are not worth the message
)

// resume says that the first Bytes bytes of the frame of a chunk, with the
// digest Sum, are at the client. It comes before the request.
type resume struct {
	_     struct{} `cbor:",toarray"`
	File  uint32
	Chunk uint32
	Bytes uint32
	Sum   manifest.Digest
}

func (r *resume) validate() error {
	if r.File >= maxFiles || r.Chunk >= manifest.MaxChunksInFile || r.Bytes == 0 || r.Bytes > codec.MaxFrameBytes {
		return fmt.Errorf("resume of chunk %d of file %d at %d", r.Chunk, r.File, r.Bytes)
	}
	return nil
}

// cutOff keeps what came of the frame of a slot.
func (p *plan) cutOff(slot int, data []byte) {
	if len(data) < leastPart {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.slots[slot].missing || len(data) <= len(p.parts[slot]) {
		return
	}
	p.partBytes += len(data) - len(p.parts[slot])
	if p.partBytes > maxPartBytes || p.parts[slot] == nil && len(p.parts) >= maxParts {
		clear(p.parts)
		p.partBytes = len(data)
	}
	p.parts[slot] = append([]byte(nil), data...)
}

// takePart returns what is here of the frame of a slot, for the only one who
// asks for it now; nil for nothing.
func (p *plan) takePart(slot int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	data := p.parts[slot]
	delete(p.parts, slot)
	p.partBytes -= len(data)
	return data
}

// resumes returns what to say before slots are asked for, and books the parts.
func (s *session) resumes(slots []int) (messages []*resume) {
	for _, i := range slots {
		data := s.plan.takePart(i)
		if data == nil {
			continue
		}
		file, chunk := s.plan.locate(i)
		messages = append(messages, &resume{File: uint32(file), Chunk: uint32(chunk), Bytes: uint32(len(data)), Sum: sha256.Sum256(data)})
		s.plan.mu.Lock()
		if s.parts == nil {
			s.parts = map[int][]byte{}
		}
		s.parts[i] = data
		s.plan.mu.Unlock()
	}
	return messages
}

// part returns what is here of the frame of a slot that the peer was told of.
func (s *session) part(slot int) []byte {
	s.plan.mu.Lock()
	defer s.plan.mu.Unlock()
	data := s.parts[slot]
	delete(s.parts, slot)
	return data
}

// returnParts gives back what was not gone on with.
func (s *session) returnParts() {
	s.plan.mu.Lock()
	parts := s.parts
	s.parts = nil
	s.plan.mu.Unlock()
	for slot, data := range parts {
		s.plan.cutOff(slot, data)
	}
}

// goOn notes where the client wants the frame of a chunk to begin.
func (s *serving) goOn(r *resume) error {
	if int(r.File) >= len(s.files) || len(s.cut) >= maxParts {
		return fmt.Errorf("%w: resume of file %d, %d are open, after %d others", ErrProtocol, r.File, len(s.files), len(s.cut))
	}
	if s.cut == nil {
		s.cut = map[[2]uint32]*resume{}
	}
	s.cut[[2]uint32{r.File, r.Chunk}] = r
	return nil
}

// from returns where the frame, in two pieces, is to begin: what the client has
// of it, if that is its beginning.
func (s *serving) from(file, chunk uint32, header, payload []byte) int {
	s.mu.Lock()
	r := s.cut[[2]uint32{file, chunk}]
	delete(s.cut, [2]uint32{file, chunk})
	s.mu.Unlock()
	if r == nil || int(r.Bytes) < len(header) || int(r.Bytes) >= len(header)+len(payload) {
		return 0
	}
	h := sha256.New()
	h.Write(header)
	h.Write(payload[:int(r.Bytes)-len(header)])
	if manifest.Digest(h.Sum(nil)) != r.Sum {
		return 0
	}
	return int(r.Bytes)
}
