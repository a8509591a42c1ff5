package delta

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/container"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Quantized tensors of GGUF files are blocks: a scale or two, then numbers of a
// few bits. In a view the blocks are taken apart, so that scales lie beside
// scales and numbers beside numbers, and models see what they know.

// blockField is one of the things that a block holds.
type blockField struct {
	bytes   int
	class   codec.Class
	nibbles bool // two numbers of four bits in a byte
}

// size returns how many bytes of the view a field of a block has.
func (f *blockField) size() int {
	if f.nibbles {
		return 2 * f.bytes
	}
	return f.bytes
}

// blockTypes are the block types of GGUF whose fields are told apart, by the
// number under which they travel; see ggml's ggml-common.h for what they hold.
var blockTypes = []struct {
	name    manifest.DType
	numbers uint64 // in a block
	fields  []blockField
}{
	{"gguf:Q4_0", 32, []blockField{{2, codec.F16, false}, {16, codec.Int8, true}}},
	{"gguf:Q4_1", 32, []blockField{{2, codec.F16, false}, {2, codec.F16, false}, {16, codec.Int8, true}}},
	{"gguf:Q5_0", 32, []blockField{{2, codec.F16, false}, {4, codec.Int8, false}, {16, codec.Int8, true}}},
	{"gguf:Q5_1", 32, []blockField{{2, codec.F16, false}, {2, codec.F16, false}, {4, codec.Int8, false}, {16, codec.Int8, true}}},
	{"gguf:Q8_0", 32, []blockField{{2, codec.F16, false}, {32, codec.Int8, false}}},
	{"gguf:Q4_K", 256, []blockField{{2, codec.F16, false}, {2, codec.F16, false}, {12, codec.Int8, false}, {128, codec.Int8, true}}},
	{"gguf:Q5_K", 256, []blockField{{2, codec.F16, false}, {2, codec.F16, false}, {12, codec.Int8, false}, {32, codec.Int8, false}, {128, codec.Int8, true}}},
	{"gguf:Q6_K", 256, []blockField{{128, codec.Int8, true}, {64, codec.Int8, false}, {16, codec.Int8, false}, {2, codec.F16, false}}},
}

// stripBytes is how many bytes of blocks are taken apart together: the decoder
// holds as many.
const stripBytes = 512 << 10

// stripKind is the least [container.Kind] that stands for blocks: their number
// in blockTypes is what it is more.
const stripKind = 0x80

// strip is a run of blocks of one type.
type strip struct {
	at, size int64 // in the file
	kind     int   // of blockTypes
}

// block returns the bytes of a block, in the file and in the view.
func (s *strip) block() (packed, open int) {
	for i := range blockTypes[s.kind].fields {
		f := &blockTypes[s.kind].fields[i]
		packed += f.bytes
		open += f.size()
	}
	return packed, open
}

// opened returns how many bytes of the view the strip has.
func (s *strip) opened() int64 {
	packed, open := s.block()
	return s.size / int64(packed) * int64(open)
}

// check says whether a strip is whole and lies in a file of so many bytes from
// low on.
func (s *strip) check(low, size int64) error {
	if s.kind < 0 || s.kind >= len(blockTypes) {
		return fmt.Errorf("%w: blocks of type %d", ErrDelta, s.kind)
	}
	if packed, _ := s.block(); s.size < 1 || s.size > stripBytes || s.size%int64(packed) != 0 || s.at < low || s.at > size-s.size {
		return fmt.Errorf("%w: blocks at %d+%d of a file of %d", ErrDelta, s.at, s.size, size)
	}
	return nil
}

// strips returns those of a tensor, none if its type is not one of blocks. They
// hold whole rows if these are short enough.
func strips(t *manifest.Tensor) (list []strip) {
	if !strings.HasPrefix(string(t.DType), "gguf:") {
		return nil
	}
	for kind := range blockTypes {
		if blockTypes[kind].name != t.DType {
			continue
		}
		s := strip{at: int64(t.Offset), kind: kind}
		packed, _ := s.block()
		unit := int64(packed)
		if row := int64(s.rowBlocks(t.Shape)) * unit; row > 0 && row <= stripBytes {
			unit = row
		}
		for left := int64(t.Length) / int64(packed) * int64(packed); left > 0; left -= s.size {
			s.size = min(left, stripBytes/unit*unit)
			list = append(list, s)
			s.at += s.size
		}
	}
	return list
}

// rowBlocks returns the blocks of a row of a tensor of this shape, 0 if that is
// not known.
func (s *strip) rowBlocks(shape []uint64) int {
	if len(shape) == 0 {
		return 0
	}
	return int(min(shape[len(shape)-1]/blockTypes[s.kind].numbers, maxCols))
}

// pack returns the strip as a packed run.
func (s *strip) pack() container.Pack {
	return container.Pack{Offset: s.at, Length: s.size, Kind: container.Kind(stripKind + s.kind), Unpacked: s.opened()}
}

// stripOf returns the strip that a packed run is, if it is one.
func stripOf(p *container.Pack) (*strip, bool) {
	if p.Kind < stripKind {
		return nil, false
	}
	return &strip{at: p.Offset, size: p.Length, kind: int(p.Kind) - stripKind}, true
}

// repack reads the strip's bytes of the view and writes those of the file.
func (s *strip) repack(in io.Reader, w io.Writer) error {
	open, packed := make([]byte, s.opened()), make([]byte, s.size)
	if _, err := io.ReadFull(in, open); err != nil {
		return err
	}
	s.close(packed, open)
	_, err := w.Write(packed)
	return err
}

// regions returns the fields of a strip that lies at offset at of a view; name
// and shape are those of the tensor, for pairing.
func (s *strip) regions(at int64, name string, shape []uint64) (list []region) {
	packed, _ := s.block()
	blocks := s.size / int64(packed)
	for i := range blockTypes[s.kind].fields {
		f := &blockTypes[s.kind].fields[i]
		numbers := f.size() / f.class.Width()
		r := region{
			at: at, size: blocks * int64(f.size()), class: f.class, dtype: blockTypes[s.kind].name,
			name: fmt.Sprintf("%s.%d", name, i), cols: s.rowBlocks(shape) * numbers,
		}
		if r.cols > maxCols {
			r.cols = 0
		}
		list = append(list, r)
		at += r.size
	}
	return list
}

// open takes the blocks in packed apart into out, which is as long as opened
// says.
func (s *strip) open(out, packed []byte) {
	length, _ := s.block()
	n := len(packed) / length
	skip := 0
	for i := range blockTypes[s.kind].fields {
		f := &blockTypes[s.kind].fields[i]
		for k := range n {
			from := packed[k*length+skip:][:f.bytes]
			if !f.nibbles {
				copy(out[k*f.bytes:], from)
				continue
			}
			// The low halves come first, as in the tensor.
			to := out[k*2*f.bytes:][:2*f.bytes]
			for j, b := range from {
				to[j], to[j+f.bytes] = b&15, b>>4
			}
		}
		out, skip = out[n*f.size():], skip+f.bytes
	}
}

// close is the inverse of open; numbers that do not fit half a byte lose their
// upper bits.
func (s *strip) close(packed, in []byte) {
	length, _ := s.block()
	n := len(packed) / length
	skip := 0
	for i := range blockTypes[s.kind].fields {
		f := &blockTypes[s.kind].fields[i]
		for k := range n {
			to := packed[k*length+skip:][:f.bytes]
			if !f.nibbles {
				copy(to, in[k*f.bytes:])
				continue
			}
			from := in[k*2*f.bytes:][:2*f.bytes]
			for j := range to {
				to[j] = from[j]&15 | from[j+f.bytes]<<4
			}
		}
		in, skip = in[n*f.size():], skip+f.bytes
	}
}

// stripReader gives the bytes of a strip as the view has them. It is for several
// goroutines.
type stripReader struct {
	file io.ReaderAt
	strip
}

// ReadAt reads and opens the strip's blocks: strips are short, and their
// readers go through them in order, so what is read twice is in the cache of
// the system.
func (r *stripReader) ReadAt(p []byte, at int64) (int, error) {
	size := r.opened()
	if at < 0 || at >= size {
		return 0, io.EOF
	}
	packed, out := make([]byte, r.size), make([]byte, size)
	if err := readFull(r.file, packed, r.at); err != nil {
		return 0, err
	}
	r.open(out, packed)
	n := copy(p, out[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// blockPacks returns the strips of a file as packed runs.
func blockPacks(ctx context.Context, file Version) ([]container.Pack, error) {
	var magic [4]byte
	if file.Size < int64(len(magic)) {
		return nil, nil
	}
	if err := readFull(file.R, magic[:], 0); err != nil {
		return nil, err
	}
	if string(magic[:]) != "GGUF" {
		return nil, nil
	}
	l, err := chunker.Layout(ctx, file.R, file.Size, file.Name, chunker.Options{Structure: true})
	if err != nil {
		if errors.Is(err, chunker.ErrMalformed) {
			return nil, nil
		}
		return nil, err
	}
	var packs []container.Pack
	for i := range l.Tensors {
		for _, s := range strips(&l.Tensors[i]) {
			packs = append(packs, s.pack())
		}
	}
	return packs, nil
}
