package delta

import (
	"errors"
	"io"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

var (
	// ErrDelta says that a delta is malformed or ends early: whoever sent it is
	// broken or hostile.
	ErrDelta = errors.New("malformed delta")
	// ErrVersion says that a delta is of a format that this build does not know:
	// update dunlin, or ask for the file as it is.
	ErrVersion = errors.New("unknown delta format")
	// ErrBasis says that the old file is not the one that the delta was made
	// against.
	ErrBasis = errors.New("delta is for another old file")
	// ErrResult says that what was decoded is not the new file.
	ErrResult = errors.New("decoded file has another digest")
)

// Version is one side of a delta: the bytes of a file.
type Version struct {
	// R gives the bytes; it is read from several goroutines at once.
	R io.ReaderAt
	// Size is the file's length in bytes.
	Size int64
	// Name helps to tell the format, as in [chunker.Layout]; it may be empty.
	Name string
}

// Options say how a delta is made. The zero value is ready for use.
type Options struct {
	// Effort is how hard Encode tries: [codec.Fast] for byte planes at hundreds
	// of MB/s, [codec.Strong] for context mixing at a few MB/s a core.
	Effort codec.Effort
	// DType is the element type of files that have no structure of their own;
	// empty: recognised. It is for Encode.
	DType manifest.DType
	// Adapter, if not nil, is a safetensors file with the factors of a low-rank
	// update that was merged into the new file, named as PEFT does, or T.lora_A
	// and T.lora_B for tensor T. Encode takes of it what makes the delta smaller
	// and finds the scale itself; Decode needs none. The mesh uses none: there
	// any peer that holds both files must make the same bytes.
	Adapter *Version
	// NewSize, if not 0, is the length that the new file must have: Decode
	// refuses a delta of another one before it writes anything.
	NewSize int64
	// Workers is how many frames are coded at once, at most 2, because each
	// takes memory; 0: as many as processors. It does not change the result.
	Workers int
	// Temp is the folder for temporary files, of which there are at most two;
	// empty: the system's.
	Temp string
	// Progress, if not nil, is called now and then, from one goroutine at a
	// time, with the bytes of the new file that are done, its packed runs
	// opened: total is not quite the file's size.
	Progress func(done, total int64)
}
