package serve

import (
	"io"

	"github.com/klauspost/compress/zlib"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // clients may ask for it by name
)

// gRPC keeps compressors by name, for the whole process, and takes new ones
// only while packages are initialised. Its own package gzip does the same.
var _ = register(deflate{})

func register(c encoding.Compressor) encoding.Compressor {
	encoding.RegisterCompressor(c)
	return c
}

// deflate is the compressor that gRPC calls by that name: zlib's format, as
// with HTTP.
type deflate struct{}

// Name implements encoding.Compressor.
func (deflate) Name() string { return "deflate" }

// Compress implements encoding.Compressor.
func (deflate) Compress(w io.Writer) (io.WriteCloser, error) {
	return zlib.NewWriterLevel(w, zlib.BestSpeed)
}

// Decompress implements encoding.Compressor; gRPC bounds what is read.
func (deflate) Decompress(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }
