package container

import (
	"errors"
	"fmt"
	"io"

	"github.com/dunlin-mesh/dunlin/codec/container/deflate"
	"github.com/dunlin-mesh/dunlin/manifest"
)

var (
	// ErrPack is a pack whose fields contradict each other, or whose kind or
	// params this version does not know: nothing can be done with it. From a
	// peer it is a damaged delta or one from a later version.
	ErrPack = errors.New("unusable pack")
	// ErrCorrupt is bytes that are not what the pack says: for Unpack the file
	// is not the one in which the pack was found, for Repack the unpacked bytes
	// are wrong. What has been written until then must be thrown away.
	ErrCorrupt = errors.New("bytes do not fit the pack")
)

// Kind is how a run encodes other bytes. Values are part of formats.
type Kind uint8

// The kinds.
const (
	Deflate Kind = 1 // a raw deflate stream (RFC 1951); params are a [deflate.Recipe]
	LEB128  Kind = 2 // signed numbers, 7 bits to a byte, in shortest form; params are a byte, the width of an element: 2 or 4
)

func (k Kind) String() string {
	switch k {
	case Deflate:
		return "deflate"
	case LEB128:
		return "leb128"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// maxRatio is how many bytes deflate can make of one: a match of 258 in two
// bits, so 1032; and what a few bytes of header amount to is less than one.
const maxRatio = 1032

// Pack is a run of a file that encodes other bytes, which Repack turns back
// into exactly the same run. It is a value: its methods share nothing and may
// be called from several goroutines.
type Pack struct {
	Offset, Length int64          // the run in the file, in bytes
	Kind           Kind           // how it encodes
	Params         []byte         // what Repack needs beside the unpacked bytes; at most 2 bytes; not to be changed
	Unpacked       int64          // length of the unpacked bytes
	DType          manifest.DType // of the unpacked elements, little-endian, if the encoding tells (LEB128: "i16" or "i32"), else ""
}

// check refuses what no Find can have made.
func (p *Pack) check() error {
	switch {
	case p.Offset < 0 || p.Length < 0 || p.Offset+p.Length < 0 || p.Unpacked < 0:
		return fmt.Errorf("%w: bytes %d+%d, %d unpacked", ErrPack, p.Offset, p.Length, p.Unpacked)
	case p.Kind == Deflate:
		if _, err := deflate.ParseRecipe(p.Params); err != nil {
			return fmt.Errorf("%w: %w", ErrPack, err)
		}
		if p.Unpacked/maxRatio > p.Length {
			return fmt.Errorf("%w: %d bytes cannot be deflated to %d", ErrPack, p.Unpacked, p.Length)
		}
	case p.Kind == LEB128:
		if len(p.Params) != 1 || p.Params[0] != 2 && p.Params[0] != 4 {
			return fmt.Errorf("%w: leb128 params % x", ErrPack, p.Params)
		}
		width := int64(p.Params[0])
		if n := p.Unpacked / width; p.Unpacked%width != 0 || n > p.Length || p.Length > n*maxLEB(int(width)) {
			return fmt.Errorf("%w: %d bytes of leb128 are not %d of width %d", ErrPack, p.Length, p.Unpacked, width)
		}
	default:
		return fmt.Errorf("%w: %v", ErrPack, p.Kind)
	}
	return nil
}

// Unpack writes the bytes that the run in r encodes to w, in pieces of at most
// 64 KiB: exactly Unpacked bytes or an error, and never more than Unpacked,
// whatever r holds. Errors are ErrPack, ErrCorrupt, or those of r and w,
// wrapped. Memory is under 256 KiB.
func (p Pack) Unpack(r io.ReaderAt, w io.Writer) error {
	if err := p.check(); err != nil {
		return err
	}
	switch p.Kind {
	case Deflate:
		return p.inflate(r, w)
	default:
		return p.decodeLEB(r, w)
	}
}

// Repack reads Unpacked bytes from unpacked and writes the run to w, in pieces
// of at most 64 KiB: exactly Length bytes or an error, and never more than
// Length. Errors are ErrPack, ErrCorrupt, or those of unpacked and w, wrapped.
// Memory is under 1 MiB.
//
// That the bytes are those of the run is only certain for the bytes that
// Unpack gave: a receiver checks the digest of the result as of any other.
func (p Pack) Repack(unpacked io.Reader, w io.Writer) error {
	if err := p.check(); err != nil {
		return err
	}
	in := &exactly{r: unpacked, left: p.Unpacked}
	out := &atMost{w: w, left: p.Length}
	var err error
	switch p.Kind {
	case Deflate:
		var recipe deflate.Recipe
		if recipe, err = deflate.ParseRecipe(p.Params); err == nil {
			_, err = deflate.NewEncoder().Encode(out, in, recipe)
		}
		if errors.Is(err, deflate.ErrEffort) {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	default:
		err = encodeLEB(out, in, int(p.Params[0]))
	}
	if err == nil && out.left > 0 {
		err = fmt.Errorf("%w: it is %d bytes too short", ErrCorrupt, out.left)
	}
	if err != nil {
		return fmt.Errorf("repack %v run of %d bytes: %w", p.Kind, p.Length, err)
	}
	return nil
}

// exactly reads left bytes, neither more nor less.
type exactly struct {
	r    io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF):
		err = fmt.Errorf("read unpacked bytes: %w", err)
	case e.left > 0:
		err = fmt.Errorf("%w: %d unpacked bytes are missing", ErrCorrupt, e.left)
	default:
		err = io.EOF
	}
	return n, err
}

// atMost passes left bytes on, and none of a piece that is longer.
type atMost struct {
	w    io.Writer
	left int64
}

func (a *atMost) Write(p []byte) (int, error) {
	if int64(len(p)) > a.left {
		return 0, fmt.Errorf("%w: it is too long", ErrCorrupt)
	}
	n, err := a.w.Write(p)
	a.left -= int64(n)
	return n, err
}
