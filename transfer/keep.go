package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// storeError wraps what the own store said; it ends the whole fetch.
type storeError struct{ err error }

func (e *storeError) Error() string   { return ErrStore.Error() + ": " + e.err.Error() }
func (e *storeError) Unwrap() []error { return []error{ErrStore, e.err} }

// store decodes, verifies and stores what arrives.
func (s *session) store(ctx context.Context, arrivals <-chan arrival) (err error) {
	var chunk []byte
	var segs []codec.Segment
	for a := range arrivals {
		if chunk, segs, err = s.keep(ctx, a, chunk, segs); err != nil {
			return err
		}
	}
	return nil
}

// settle ends the way of a chunk to the store: it is stored, or free again.
func (s *session) settle(a arrival) {
	s.t.buffers.put(a.buf)
	p := s.plan
	p.mu.Lock()
	defer p.mu.Unlock()
	s.storing--
	p.free(a.expected)
	if p.slots[a.slot].missing {
		p.disown(a.slot, s)
		for o := range p.sessions {
			o.poke()
		}
	}
	s.poke()
}

// keep takes one frame; chunk and segs are memory to be used again.
func (s *session) keep(ctx context.Context, a arrival, chunk []byte, segs []codec.Segment) ([]byte, []codec.Segment, error) {
	defer s.settle(a)
	if !s.plan.wanted(a.slot, len(*a.buf)) {
		s.t.totals.duplicate.Add(uint64(len(*a.buf)))
		return chunk, segs, nil
	}
	number, i := s.plan.locate(a.slot)
	file := &s.plan.files[number]
	offset, length := file.chunks.At(i)
	frame, err := codec.ParseFrame(*a.buf)
	if err != nil {
		return chunk, segs, fmt.Errorf("%w: chunk %d of %s: %w", ErrProtocol, i, file.id, err)
	}
	data := frame.Payload
	if frame.Encoding != codec.Raw || len(data) != length {
		c, err := s.t.layouts.get(file.id.Layout)
		if err != nil {
			return chunk, segs, &storeError{err}
		}
		segs = codec.Segments(segs[:0], c.layout, offset, length)
		if cap(chunk) < length {
			chunk = make([]byte, length)
		}
		if data, err = s.t.coder.Decode(chunk[:length], frame, length, segs); err != nil {
			return chunk, segs, fmt.Errorf("%w: chunk %d of %s: %w", ErrCorrupt, i, file.id, err)
		}
	}
	// The store compares the digest: it is the one place that every chunk
	// passes, and once is enough.
	if err := s.t.cfg.Store.PutChunk(ctx, file.id, i, data); err != nil {
		switch {
		case ctx.Err() != nil:
			return chunk, segs, context.Cause(ctx)
		case errors.Is(err, manifest.ErrContent):
			return chunk, segs, fmt.Errorf("%w: chunk %d of %s has another digest", ErrCorrupt, i, file.id)
		}
		return chunk, segs, &storeError{fmt.Errorf("chunk %d of %s: %w", i, file.id, err)}
	}
	s.t.totals.chunksIn.Add(1)
	s.plan.stored(s, a.slot)
	s.t.hub.changed(file.id)
	s.t.peers.delivered(s.peer, 0, 0)
	return chunk, segs, nil
}
