package chunker

import (
	"context"
	"fmt"
	"io"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Options says what the bytes of a file cannot.
type Options struct {
	// DType is the element type of headerless arrays, "" to cut them by
	// content. It applies to files of no known format; it must be one of the
	// plain types, those with [manifest.DType.Bits].
	DType manifest.DType
	// Structure says that only the tensors are wanted: a file of no known format
	// is not read to be cut by content, but cut on a grid.
	Structure bool
}

// Validate says whether DType is "" or a plain type.
func (o Options) Validate() error {
	if o.DType != "" && o.DType.Bits() == 0 {
		return fmt.Errorf("dtype %.40q is no plain element type: use one such as f32, f16, bf16, i16 or i8", string(o.DType))
	}
	return nil
}

// Layout finds a file's tensors and says where to cut it. It reads the size
// bytes of r as they stand, in the order that suits the format; name gives the
// extension, a hint for formats without a magic number, and stands in errors.
//
// A file of a known format that breaks the format's rules gives a
// [*FormatError]; a file of no known format is an array by opt.DType or is cut
// by content, which reads all of it. The result has passed
// [manifest.Layout.Validate]. Data that an ONNX model keeps in other files is
// laid out by [Layouts].
//
// It takes 128 KiB of memory and the tensor table, which is under 1 MiB for
// most models and under 24 MiB for any file; cutting by content takes 8 times
// Layout.Chunk. Calls may run at the same time if r allows it.
func Layout(ctx context.Context, r io.ReaderAt, size int64, name string, opt Options) (*manifest.Layout, error) {
	src, err := newSource(ctx, r, size, name)
	if err != nil {
		return nil, err
	}
	if err := opt.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	found, err := recognise(src)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return unstructured(ctx, src, opt)
	}
	return found.layout(src)
}

// structure is what a decoder found in a file.
type structure struct {
	format   string
	tensors  []manifest.Tensor // in order, not overlapping
	external []entry           // of an ONNX model: tensors in other files
}

func (s *structure) layout(src *source) (*manifest.Layout, error) {
	l := &manifest.Layout{
		Schema:  manifest.LayoutSchema,
		Format:  s.format,
		Size:    uint64(src.size),
		Tensors: s.tensors,
		Chunk:   chunkBytes(src.size),
	}
	if err := l.Validate(); err != nil {
		return nil, fmt.Errorf("%s: layout as %s: %w", src.name, s.format, err)
	}
	return l, nil
}

// Sizes of files up to which a chunk has 64 and 128 KiB at least. Chunks of
// tensors are twice that, so digests of 32 bytes stay under 0.05 % of the
// file, and a large file's digest tree under a few MiB.
const (
	smallFileBytes  = 256 << 20
	mediumFileBytes = 1 << 30
)

// chunkBytes returns Layout.Chunk for a file of size bytes: 64 KiB up to
// 256 MiB, 128 KiB up to 1 GiB, 256 KiB above. It is part of the format:
// changing it changes every layout's CID.
func chunkBytes(size int64) uint32 {
	switch {
	case size <= smallFileBytes:
		return manifest.MinChunkBytes
	case size <= mediumFileBytes:
		return 2 * manifest.MinChunkBytes
	}
	return 4 * manifest.MinChunkBytes
}
