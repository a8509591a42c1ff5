// Package codec turns a chunk into a frame and back: compression that knows
// which bytes of the chunk are numbers, and of which type.
//
// # Use
//
// A [Coder] holds reusable state and is shared by everything in a process. The
// sender cuts the chunk into [Segment]s by its layout ([Segments]) and encodes
// it with as much effort as its link deserves; the receiver, which has the same
// layout, decodes and then checks the chunk's digest: a frame is never trusted.
//
//	segments := codec.Segments(nil, layout, offset, length)
//	frame, err := coder.Encode(buffer, chunk, segments, codec.Fast)
//	chunk, err = coder.Decode(buffer, frame, length, segments)
//
// # Frame
//
//	byte     version, 1
//	byte     encoding: 0 raw, 1 zstd, 2 planes, 3 mixed
//	byte     basis, 0: none. Other values are reserved.
//	uvarint  length of the chunk
//	…        payload, to the end
//
// raw is the chunk itself; zstd is one zstd frame (RFC 8878). planes splits the
// chunk into streams, one per class of number and byte of its elements, and
// codes each by itself:
//
//	streams := bytes of class Other, bytes of class Int8,
//	           then for F16, BF16, I16, F32, I32, F64, I64 one stream per byte,
//	           least significant first; in each the bytes of all segments of
//	           the class in order. The bits of a float are rotated left by one
//	           first, so that its exponent is not split over two bytes and its
//	           sign joins the noise of the mantissa.
//	for each stream that is not empty, for each block of 128 KiB of it:
//	    byte 0, bytes:                        as they are
//	    byte 1, byte b:                       b, all along
//	    byte 2, uvarint length, huff0 block:  Huffman coded, four streams
//	    byte 3, uvarint length, zstd frame
//
// mixed codes numbers by context mixing (package mix), each class of the chunk by
// models that begin anew, so that each chunk can be decoded alone:
//
//	for each segment of class Other of 4 KiB or more, for each 16 KiB of it, the
//	last up to the end:
//	    byte: the class that it turned out to be in the low four bits, and how
//	    many bytes precede its first whole element in the others. Neighbours that
//	    are equal are one array.
//	for each class that has elements:
//	    byte 0, streams as in planes; or
//	    byte 1, uvarint length, mixed bits, and of F32 the two low bytes of all
//	    elements whose exponent is not 0, as two streams.
//
// Mixed bits tell exponents and integers bit by bit, in four contexts: any, the
// number before, the average of the last few and of the last few dozen. Signs
// and the first digits of mantissas are told by their exponents. docs/protocol.md
// says it so that others can build it.
//
// Smallest wins, block by block and then among the encodings. Trained weights
// have one compressible byte, the exponent (about 2.6 bits); splitting finds it
// and leaves the rest raw, which also is what makes it fast. Mixing takes 0.1 to
// 0.4 % more than dense numbers hold (see the benchmarks), and finds numbers in
// files of no known format.
//
// # Promises
//
// Equal chunks, segments and effort yield equal frames on every architecture.
// A payload is never longer than the chunk. Decode writes nothing past the
// declared length and needs no more memory than the chunk, its copy and tables
// of fixed size; any input yields a chunk or an error. An unknown version,
// encoding or basis is [ErrEncoding], so that later nodes can send more.
//
// # Not here
//
// No files, no peers, no digests. What has a basis is package delta's business,
// which uses frames for byte planes and for bytes.
package codec
