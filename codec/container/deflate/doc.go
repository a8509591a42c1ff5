// Package deflate compresses as others do: given the bytes, and the [Recipe] of
// the program that compressed them, it gives the same deflate stream (RFC 1951)
// to the bit. Package container alone uses it, to put streams away and get them
// back; to merely compress, any library is faster.
//
//	_, err := deflate.NewEncoder().Encode(w, plain, deflate.Recipe{Family: deflate.Zlib, Level: 6})
//
// # Algorithm
//
// All families descend from Jean-loup Gailly's deflate of 1993, described in
// zlib's doc/algorithm.txt, and agree on nearly everything:
//
//	window    64 KiB, filled whole; when less than 262 bytes are left ahead and
//	          the front is 65274 bytes in or more, its upper half moves down
//	search    along the chain of positions with the same hash of three bytes,
//	          newest first, up to 32506 bytes back, as far as the level allows
//	parse     levels 1 to 3 take each match (encodeGreedy), levels 4 to 9 wait
//	          whether the next byte starts a longer one (encodeLazy)
//	block     ends when its buffer of symbols is full; is stored, coded with
//	          the fixed trees or with its own, whatever is shortest
//	trees     Huffman's algorithm on a heap, lengths cut to 15 and 7 bits
//
// They differ in the hash, the buffer, and at the edges: see trait. Two details
// are easily missed: position 0 of the window is never matched, as 0 means
// none; and gzip(1) compares past the end of the input, into bytes that the
// window held before, so those must be what they were.
//
// zlib's output does not depend on how its caller cuts the input, as it always
// fills the window before it goes on.
//
// # Promises
//
// Exact for the default strategy and window, memLevel 8 or 9, and one stream
// without flushes or dictionary. Compared with zlib 1.2.13, gzip 1.12 and zip
// 3.0, on text, programs, weights and sparse bytes, at every level; earlier and
// later versions share the algorithm, but have not been compared. The output of
// a recipe never changes between versions of this package.
package deflate

import "errors"

var (
	// ErrRecipe is a recipe that this version does not know.
	ErrRecipe = errors.New("unknown deflate recipe")
	// ErrEffort is input on which the recipe takes more than [MaxSteps]
	// comparisons a byte; what came out before is of no use.
	ErrEffort = errors.New("deflate takes too long")
)
