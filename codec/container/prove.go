package container

import (
	"bytes"
	"errors"
	"io"

	"github.com/dunlin-mesh/dunlin/codec/container/deflate"
)

// maxMisses bounds how many streams of a file are tried with every recipe in
// vain; the rest are tried only with those that have worked on others.
const maxMisses = 8

// errDiffers is a stream that its recipe would have made otherwise.
var errDiffers = errors.New("stream differs")

// prover finds out how deflate streams were made, by making them again. It
// stops at the first byte that differs, which nearly always is in the first
// block.
type prover struct {
	encoder *deflate.Encoder
	in      inflater
	order   []deflate.Recipe // the last that worked first
	worked  int              // how many of order have worked
	misses  int
}

// deflated looks at the stream that starts at offset and ends at or before
// limit, and returns it as a pack; ok is false if it is none, or too short, or
// made in an unknown way.
func (s *search) deflated(offset, limit, shortest int64) (p Pack, ok bool, err error) {
	v := &s.prover
	if v.encoder == nil {
		v.encoder, v.order = deflate.NewEncoder(), deflate.Recipes()
	}
	recipes := v.order
	if v.misses >= maxMisses {
		recipes = recipes[:v.worked]
	}
	for i, recipe := range recipes {
		p, err = s.tryRecipe(offset, limit, recipe)
		switch {
		case errors.Is(err, errDiffers), errors.Is(err, deflate.ErrEffort):
			continue
		case errors.Is(err, ErrCorrupt): // no stream at all
			return Pack{}, false, nil
		case err != nil:
			return Pack{}, false, err
		}
		if i >= v.worked {
			v.worked++
		}
		copy(v.order[1:i+1], v.order[:i])
		v.order[0] = recipe
		return p, p.Unpacked >= shortest, nil
	}
	v.misses++
	return Pack{}, false, nil
}

// tryRecipe unpacks the stream and packs it again.
func (s *search) tryRecipe(offset, limit int64, recipe deflate.Recipe) (Pack, error) {
	v := &s.prover
	if err := v.in.reset(s.r, offset, limit); err != nil {
		return Pack{}, err
	}
	out := &comparer{search: s, at: offset, end: limit}
	n, err := v.encoder.Encode(out, &spender{s, &v.in}, recipe)
	if err == nil && out.at != v.in.end() {
		err = errDiffers
	}
	return Pack{Offset: offset, Length: out.at - offset, Kind: Deflate, Params: recipe.AppendBinary(nil), Unpacked: n}, err
}

// streamEnd returns where the stream that starts at offset ends; ok is false if
// it is damaged.
func (s *search) streamEnd(offset int64) (end int64, ok bool, err error) {
	v := &s.prover
	if err := v.in.reset(s.r, offset, s.size); err != nil {
		return 0, false, err
	}
	_, err = io.Copy(onlyWriter{io.Discard}, &spender{s, &v.in})
	if errors.Is(err, ErrCorrupt) {
		return 0, false, nil
	}
	return v.in.end(), err == nil, err
}

// spender counts what is unpacked.
type spender struct {
	search *search
	in     io.Reader
}

func (r *spender) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if spent := r.search.spend(int64(n)); spent != nil {
		return n, spent
	}
	return n, err
}

// comparer is a writer that wants the bytes of the file from at on.
type comparer struct {
	search  *search
	at, end int64
}

func (c *comparer) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		buf := c.search.buf[:min(len(p), pieceBytes)]
		n := len(buf)
		if int64(n) > c.end-c.at {
			return written, errDiffers
		}
		if err := c.search.readAt(buf, c.at); err != nil {
			return written, err
		}
		if !bytes.Equal(buf, p[:n]) {
			return written, errDiffers
		}
		c.at += int64(n)
		written += n
		p = p[n:]
	}
	return written, nil
}
