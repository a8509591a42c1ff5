package transfer

import (
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Version is the version of the protocol, the last part of [ProtocolID]. hello
// repeats it and may carry no other one.
const Version = 2

// Bounds of messages. Both sides keep to them and end a session that does not.
const (
	// MaxMessageBytes bounds a message; frames and blocks follow messages and
	// are not part of them.
	MaxMessageBytes = 64 << 10
	maxWants        = 256  // CIDs in a want
	maxOpenFiles    = 256  // files in an open
	maxFiles        = 4096 // files in a session
	maxSpans        = 4096 // spans in a have, a request, a cancel or a fault
	maxQueued       = 1024 // chunks and blocks asked for and not answered yet
	maxText         = 256
)

// message is one of its fields; the key names which.
type message struct {
	Hello   *hello   `cbor:"hello,omitempty"`
	Want    *want    `cbor:"want,omitempty"`
	Block   *block   `cbor:"block,omitempty"`
	Open    *open    `cbor:"open,omitempty"`
	Have    *ranges  `cbor:"have,omitempty"`
	Coming  *coming  `cbor:"coming,omitempty"`
	Resume  *resume  `cbor:"resume,omitempty"`
	Request *ranges  `cbor:"request,omitempty"`
	Frame   *piece   `cbor:"frame,omitempty"`
	Cancel  *ranges  `cbor:"cancel,omitempty"`
	Fault   *faultAt `cbor:"fault,omitempty"`
}

// hello opens both directions.
type hello struct {
	Version  int    `cbor:"version"`
	Link     Link   `cbor:"link"`
	MaxFrame uint32 `cbor:"max_frame"`
}

// want asks for blocks.
type want struct {
	Blocks []manifest.CID `cbor:"blocks"`
}

// block answers the next CID wanted; a frame of Bytes follows, none if the
// block is not held.
type block struct {
	_     struct{} `cbor:",toarray"`
	Bytes uint32
}

// open adds files to the session; their numbers count up from 0.
type open struct {
	Release manifest.CID      `cbor:"release"`
	Files   []manifest.FileID `cbor:"files"`
}

// ranges are chunks of a file of the session.
type ranges struct {
	_      struct{} `cbor:",toarray"`
	File   uint32
	Chunks manifest.Ranges
}

// coming says which chunks of a file the server has asked others for, outside
// of its site, and does not hold yet. It replaces the one before. Bytes grows
// while something of them arrives.
type coming struct {
	_      struct{} `cbor:",toarray"`
	File   uint32
	Chunks manifest.Ranges
	Bytes  uint64
}

// piece announces Bytes of the frame of a chunk, from From on: 0, or what the
// client has of it.
type piece struct {
	_     struct{} `cbor:",toarray"`
	File  uint32
	Chunk uint32
	Bytes uint32
	From  uint32
}

// faultCode says what went wrong, and so what to do.
type faultCode string

const (
	faultBusy      faultCode = "busy"      // come back after Retry seconds
	faultNotHeld   faultCode = "not_held"  // these chunks are not here: ask others
	faultCorrupt   faultCode = "corrupt"   // these chunks rotted here: ask others
	faultGone      faultCode = "gone"      // the session ends: open a new one if need be
	faultMalformed faultCode = "malformed" // you broke the protocol: the session ends
)

// faultAt is a refusal: of the chunks named, or of the session if there are
// none.
type faultAt struct {
	Code   faultCode       `cbor:"code"`
	File   uint32          `cbor:"file,omitempty"`
	Chunks manifest.Ranges `cbor:"chunks,omitempty"`
	Retry  uint32          `cbor:"retry,omitempty"` // seconds
	Text   string          `cbor:"text,omitempty"`  // for people
}

// Validate implements [manifest.Validator].
func (m *message) Validate() error {
	n := 0
	check := func(present bool, validate func() error) error {
		if !present {
			return nil
		}
		n++
		return validate()
	}
	for _, err := range []error{
		check(m.Hello != nil, m.Hello.validate),
		check(m.Want != nil, m.Want.validate),
		check(m.Block != nil, m.Block.validate),
		check(m.Open != nil, m.Open.validate),
		check(m.Have != nil, m.Have.validate),
		check(m.Coming != nil, m.Coming.validate),
		check(m.Resume != nil, m.Resume.validate),
		check(m.Request != nil, m.Request.validate),
		check(m.Frame != nil, m.Frame.validate),
		check(m.Cancel != nil, m.Cancel.validate),
		check(m.Fault != nil, m.Fault.validate),
	} {
		if err != nil {
			return err
		}
	}
	if n != 1 {
		return fmt.Errorf("message of %d kinds, want 1", n)
	}
	return nil
}

func (h *hello) validate() error {
	if h.Version != Version || h.Link.rank() < 0 {
		return fmt.Errorf("hello of version %d, link %.20q, want version %d and a known link", h.Version, h.Link, Version)
	}
	return nil
}

func (w *want) validate() error {
	if len(w.Blocks) == 0 || len(w.Blocks) > maxWants {
		return fmt.Errorf("want of %d blocks, 1 to %d", len(w.Blocks), maxWants)
	}
	return nil
}

func (b *block) validate() error {
	if b.Bytes > codec.MaxFrameBytes {
		return fmt.Errorf("block frame of %d bytes, at most %d", b.Bytes, codec.MaxFrameBytes)
	}
	return nil
}

func (o *open) validate() error {
	if len(o.Files) == 0 || len(o.Files) > maxOpenFiles {
		return fmt.Errorf("open of %d files, 1 to %d", len(o.Files), maxOpenFiles)
	}
	return nil
}

func (r *ranges) validate() error {
	if r.File >= maxFiles || len(r.Chunks) > maxSpans || r.Chunks.End() > manifest.MaxChunksInFile {
		return fmt.Errorf("file %d, %d spans up to chunk %d", r.File, len(r.Chunks), r.Chunks.End())
	}
	return r.Chunks.Validate()
}

func (c *coming) validate() error {
	return (&ranges{File: c.File, Chunks: c.Chunks}).validate()
}

func (p *piece) validate() error {
	if p.File >= maxFiles || p.Chunk >= manifest.MaxChunksInFile || p.Bytes == 0 ||
		p.Bytes > codec.MaxHeaderBytes+manifest.MaxChunkBytes || p.From > codec.MaxHeaderBytes+manifest.MaxChunkBytes-p.Bytes {
		return fmt.Errorf("frame of %d bytes from %d on for chunk %d of file %d", p.Bytes, p.From, p.Chunk, p.File)
	}
	return nil
}

func (f *faultAt) validate() error {
	if len(f.Text) > maxText || len(f.Code) > maxText {
		return fmt.Errorf("fault with a text of %d bytes, at most %d", len(f.Text), maxText)
	}
	return (&ranges{File: f.File, Chunks: f.Chunks}).validate()
}
