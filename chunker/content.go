package chunker

import (
	"context"
	"errors"
	"fmt"
	"io"

	chunkers "github.com/PlakarKorp/go-cdc-chunkers"
	_ "github.com/PlakarKorp/go-cdc-chunkers/chunkers/fastcdc" // registers fastCDC

	"github.com/dunlin-mesh/dunlin/manifest"
)

// fastCDC names the algorithm as the library does: FastCDC (W. Xia et al.,
// USENIX ATC 2016) with a normalised chunk size and masks that follow from it.
// The library's plain "fastcdc" has masks for 8 KiB whatever the size asked
// for; the versioned one is faithful and does not change. A test pins its cuts.
const fastCDC = "fastcdc-v1.0.0"

// maxCutFileBytes is the size up to which a file is cut by content: its cuts,
// at least one every 256 KiB, fill what one array of a block may hold, 2^18.
// A larger file of no known format is cut on a grid, as an array is.
const maxCutFileBytes = 64 << 30

// unstructured lays out a file of no known format.
func unstructured(ctx context.Context, src *source, opt Options) (*manifest.Layout, error) {
	if opt.DType != "" {
		return array(src, opt.DType).layout(src)
	}
	l, err := (&structure{format: "bytes"}).layout(src)
	if err != nil || opt.Structure || src.size <= int64(l.Chunk) || src.size > maxCutFileBytes {
		return l, err
	}
	if l.Cuts, err = contentCuts(ctx, src, int(l.Chunk)); err != nil {
		return nil, err
	}
	return l, l.Validate()
}

// array takes the file for one vector; bytes after its last whole element
// belong to no tensor.
func array(src *source, dtype manifest.DType) *structure {
	s := &structure{format: "array"}
	elements := uint64(src.size) * 8 / dtype.Bits()
	if length := elements * dtype.Bits() / 8; length > 0 {
		s.tensors = []manifest.Tensor{{Name: "array", DType: dtype, Shape: []uint64{elements}, Length: length}}
	}
	return s
}

// contentCuts reads the whole file and returns the lengths of its chunks: at
// least chunk bytes (but for the last), about twice, at most four times that.
func contentCuts(ctx context.Context, src *source, chunk int) ([]uint32, error) {
	options := &chunkers.ChunkerOpts{MinSize: chunk, NormalSize: 2 * chunk, MaxSize: 4 * chunk}
	r := &sectionReader{ctx.Err, io.NewSectionReader(src.r, 0, src.size)}
	cutter, err := chunkers.NewChunkerBuffer(fastCDC, r, options, make([]byte, 2*options.MaxSize))
	if err != nil {
		return nil, fmt.Errorf("%s: cut by content: %w", src.name, err)
	}
	var cuts []uint32
	var sum int64
	for {
		piece, err := cutter.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: after byte %d: %w", src.name, sum, err)
		}
		if len(piece) > 0 {
			cuts = append(cuts, uint32(len(piece)))
			sum += int64(len(piece))
		}
		if err != nil {
			break
		}
	}
	if sum != src.size {
		return nil, fmt.Errorf("%s: ends at byte %d of %d: %w", src.name, sum, src.size, io.ErrUnexpectedEOF)
	}
	return cuts, nil
}

// sectionReader reads a file from start to end until the context ends.
type sectionReader struct {
	stop func() error
	r    io.Reader
}

func (r *sectionReader) Read(p []byte) (int, error) {
	if err := r.stop(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
