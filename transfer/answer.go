package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// looks is how often a have-update looks for a chunk that was announced but
// cannot be read yet, because the store makes it durable first.
const looks = 4

// answer sends hello, then answers the queue in order, and have-updates when
// they are due. It returns nil when the peer has closed and all is answered.
func (s *serving) answer(ctx context.Context) error {
	if err := s.conn.send(&message{Hello: s.t.hello(s.class())}); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var due time.Time // of the next have-updates; zero if none
	for {
		a, found, last := s.next()
		var err error
		if found {
			err = s.reply(ctx, a)
		} else {
			err = s.conn.flush()
		}
		if err != nil || last {
			return err
		}
		refresh := s.refresh(time.Now())
		pending, batch := s.pending()
		switch now := time.Now(); {
		case !pending:
			due = time.Time{}
		case due.IsZero():
			due = now.Add(batch)
		case !now.Before(due):
			due = time.Time{}
			if err := s.updates(); err != nil {
				return err
			}
			continue
		}
		if found {
			continue
		}
		if next := sooner(due, refresh); !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// next takes one block or chunk from the queue; last says that the peer has
// closed and nothing is left.
func (s *serving) next() (a ask, found, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return ask{}, false, s.closed
	}
	s.last = time.Now()
	a = s.queue[0]
	if a.block.Defined() {
		s.chunks--
	}
	if r := a.chunks.Chunks; len(r) > 0 {
		s.chunks--
		first := r[0].From
		a.chunks.Chunks = manifest.Ranges{{From: first, To: first + 1}}
		if rest := r.Minus(a.chunks.Chunks); len(rest) > 0 {
			s.queue[0].chunks.Chunks = rest
			return a, true, false
		}
	}
	s.queue = slices.Delete(s.queue, 0, 1)
	return a, true, false
}

// pending says whether have-updates wait, and how long they are batched.
func (s *serving) pending() (bool, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.stales) > 0, s.pace.haves
}

func (s *serving) reply(ctx context.Context, a ask) error {
	switch {
	case a.fault != nil:
		return s.conn.send(&message{Fault: a.fault})
	case a.block.Defined():
		return s.sendBlock(ctx, a.block)
	case len(a.chunks.Chunks) == 0:
		if _, err := s.sendHave(a.chunks.File, true); err != nil {
			return err
		}
		return s.sendComing(a.chunks.File)
	}
	return s.sendChunk(ctx, a.chunks.File, a.chunks.Chunks[0].From)
}

// updates sends what is held of the files that changed and was not told.
func (s *serving) updates() error {
	s.mu.Lock()
	stales := make([]uint32, 0, len(s.stales))
	for number := range s.stales {
		stales = append(stales, number)
	}
	s.mu.Unlock()
	slices.Sort(stales)
	for _, number := range stales {
		told, err := s.sendHave(number, false)
		if err != nil {
			return err
		}
		if err := s.sendComing(number); err != nil {
			return err
		}
		s.mu.Lock()
		if s.stales[number]--; told || s.stales[number] <= 0 {
			delete(s.stales, number)
		}
		s.mu.Unlock()
	}
	return nil
}

// sendHave tells what is held of the file beyond what was told, if anything;
// always if it is the first time. told says whether something was.
func (s *serving) sendHave(number uint32, first bool) (told bool, err error) {
	s.mu.Lock()
	id, known := s.files[number], s.told[number]
	s.mu.Unlock()
	held, err := s.t.cfg.Store.Held(id)
	if err != nil {
		s.t.cfg.Logger.Debug("held chunks unknown", slog.Any("file", id), slog.Any("error", err))
		held = nil
	}
	fresh := held.Minus(known)
	if len(fresh) == 0 && !first {
		return false, nil
	}
	s.mu.Lock()
	s.told[number] = known.Union(fresh)
	s.mu.Unlock()
	for part := range slices.Chunk(fresh, maxSpans) {
		if err := s.conn.send(&message{Have: &ranges{File: number, Chunks: part}}); err != nil {
			return true, err
		}
	}
	if len(fresh) == 0 {
		return false, s.conn.send(&message{Have: &ranges{File: number}})
	}
	return true, nil
}

// sendBlock answers a want: the block as a frame, or that it is not held.
func (s *serving) sendBlock(ctx context.Context, cid manifest.CID) error {
	release, err := s.reserve(ctx, 2*manifest.MaxBlockBytes)
	if err != nil {
		return err
	}
	defer release()
	data, err := s.t.cfg.Store.Block(cid)
	if err != nil || len(data) == 0 || len(data) > manifest.MaxBlockBytes {
		return s.conn.send(&message{Block: &block{}})
	}
	buf := s.t.buffers.get(len(data))
	defer s.t.buffers.put(buf)
	// Blocks are few and shrink well; that a link looks fast is no reason.
	frame, err := s.t.coder.Encode(*buf, data, nil, max(s.effort.pick(s.class()), codec.Fast))
	if err != nil {
		return err
	}
	header := frame.AppendHeader(nil)
	if err := s.conn.send(&message{Block: &block{Bytes: uint32(len(header) + len(frame.Payload))}}); err != nil {
		return err
	}
	s.t.totals.blocksOut.Add(1)
	return s.write(header, frame.Payload)
}

// sendChunk answers for one chunk: a frame, or a fault.
func (s *serving) sendChunk(ctx context.Context, number, i uint32) error {
	s.mu.Lock()
	id, most := s.files[number], int(s.hello.MaxFrame)
	s.mu.Unlock()
	c, err := s.t.layouts.get(id.Layout)
	if err != nil || int(i) >= c.chunks.Len() {
		return s.refuse(number, i, faultNotHeld, "no such chunk")
	}
	offset, length := c.chunks.At(int(i))
	if length+codec.MaxHeaderBytes > most {
		return s.refuse(number, i, faultNotHeld, "frame is larger than you take")
	}
	release, err := s.reserve(ctx, 2*length)
	if err != nil {
		return err
	}
	defer release()
	chunkBuf, frameBuf := s.t.buffers.get(length), s.t.buffers.get(length)
	defer s.t.buffers.put(chunkBuf)
	defer s.t.buffers.put(frameBuf)
	frame, err := s.encode(ctx, id, int(i), c.layout, offset, length, *chunkBuf, *frameBuf)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		s.t.cfg.Logger.Debug("chunk not served", slog.Any("file", id), slog.Any("chunk", i), slog.Any("error", err))
		code := faultNotHeld
		if errors.Is(err, manifest.ErrContent) {
			code = faultCorrupt
		}
		return s.refuse(number, i, code, "")
	}
	header, payload := frame.AppendHeader(nil), frame.Payload
	from := s.from(number, i, header, payload)
	if from > 0 {
		header, payload = nil, payload[from-len(header):]
	}
	if err := s.conn.send(&message{Frame: &piece{File: number, Chunk: i, Bytes: uint32(len(header) + len(payload)), From: uint32(from)}}); err != nil {
		return err
	}
	s.t.totals.chunksOut.Add(1)
	err = s.write(header, payload)
	s.effort.sent(length, time.Now())
	return err
}

// encode reads a chunk and codes it, in one of the places for that.
func (s *serving) encode(ctx context.Context, id manifest.FileID, i int, l *manifest.Layout, offset uint64, length int, chunkBuf, frameBuf []byte) (codec.Frame, error) {
	start := time.Now()
	done, err := s.t.coding.acquire(ctx, 1)
	if err != nil {
		return codec.Frame{}, err
	}
	defer done()
	chunk, err := s.t.cfg.Store.Chunk(ctx, id, i, chunkBuf)
	if err != nil {
		return codec.Frame{}, err
	}
	if len(chunk) != length {
		return codec.Frame{}, fmt.Errorf("chunk of %d bytes, want %d", len(chunk), length)
	}
	// The other end decodes under the layout's segments, whatever the effort.
	effort, segs := s.effort.pick(s.class()), codec.Segments(nil, l, offset, length)
	frame, err := s.t.coder.Encode(frameBuf, chunk, segs, effort)
	s.effort.coded(effort, length, time.Since(start))
	return frame, err
}

// reserve takes memory from the peer's share and from the whole.
func (s *serving) reserve(ctx context.Context, n int) (release func(), err error) {
	own, err := s.peer.serving.acquire(ctx, n)
	if err != nil {
		return nil, err
	}
	all, err := s.t.memory.serving.acquire(ctx, n)
	if err != nil {
		own()
		return nil, err
	}
	return func() { all(); own() }, nil
}

// refuse says that a chunk does not come; should it come to be held again, it
// will be told.
func (s *serving) refuse(number, i uint32, code faultCode, text string) error {
	one := manifest.NewRanges(int(i), int(i)+1)
	s.mu.Lock()
	s.told[number] = s.told[number].Minus(one)
	s.mu.Unlock()
	return s.conn.send(&message{Fault: &faultAt{Code: code, File: number, Chunks: one, Text: text}})
}

func (s *serving) write(header, payload []byte) error {
	if _, err := s.conn.out.Write(header); err != nil {
		return err
	}
	_, err := s.conn.out.Write(payload)
	return err
}

func (s *serving) class() Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}
