// Package delta makes the fewest bytes that turn one version of a file into
// another: what a node that holds one release of a model receives to get the
// next. Packages node and cmd/dunlin use it, and nothing else has reason to.
//
//	report, err := delta.Encode(ctx, old, next, w, delta.Options{Effort: codec.Strong})
//	err = delta.Decode(ctx, old, r, w, delta.Options{})
//
// # When
//
// For any two files, related or not: what nothing old resembles is coded alone.
// [codec.Strong] is for links slower than the coder (a few MB/s a core),
// [codec.Fast] for all others. A delta is decoded with the old file alone, so
// any peer with both versions can make it, keep it and pass it on.
//
// # How
//
//	see(file):                        // a view: the file with runs replaced
//	    packed runs   -> what they pack (package codec/container)
//	    GGUF blocks   -> scales beside scales, numbers beside numbers
//	regions(view):                    // cover the view, in order
//	    tensors that the format names (package chunker)
//	    arrays that bytes betray (package sections); the rest is "other"
//	pair(new region):                 // the first that is found
//	    old region of the same name, class and shape
//	    old region of the same content, wherever it is
//	    old region of the same class and size that differs least
//	    old region of another class and as many elements
//	transform(pair):                  // how old bytes become the basis
//	    rows and columns in another order, shared by tensors (package align)
//	    low-rank product added, found or from Options.Adapter; class converted
//	        (package derive)
//	    rows times a factor of least squares, or columns for rows
//	for each new region:
//	    runs equal to the basis       -> copy or basis
//	    runs that stand elsewhere     -> copy (rolling hash)
//	    other numbers, Strong         -> array: context mixing with the basis or,
//	                                     if a sample of it is smaller, without;
//	                                     or, if that is as small, sparse: gaps
//	                                     between changes and these, mixed
//	    other numbers, Fast           -> planes: byte planes of the differences
//	    other bytes                   -> text, or block if Fast or mere noise
//	    bytes seen in the same frame  -> repeat
//	frames of at most 8 MiB, copies aside, are coded each on its own, in parallel
//
// Nothing is worked out again when decoding: all that was found travels.
//
// # Format, version 2
//
// A uvarint is encoding/binary's, a varint its zigzag form; the two sizes of
// the header, and the kinds and lengths of records, must be in shortest form.
//
//	delta   = header record* end
//	header  = "DL" version:byte old:uvarint grown:varint sketch:3 target:12
//	record  = kind:uvarint length:uvarint payload
//	end     = 0x00
//
// old is the old file's size, grown what the new one is longer; sketch the start
// of the sha256 of 64 runs of 4 KiB of the old file, the i-th at i·⌊(old-4096)/63⌋
// (of all of it up to 256 KiB); target the start of the new file's sha256. The
// kinds of records:
//
//	1 frame   mixed:uvarint, so many bytes of package codec/mix, then side bytes
//	2 table   for frames to come; numbered from 0
//	3 forget  uvarint: how many of the first tables stay
//	4 packs   packed runs of both files; only as the first record
//
// The mixed bytes hold steps until kind 0, each coded relative to those before
// it as [planCoder.code] says, and among them the bytes of arrays and text. Side
// bytes are blocks: encoding, uvarint length and payload of a [codec.Frame] for
// each MiB that a step of planes or bytes makes. The kinds of steps:
//
//	1 copy    size, from                    old bytes
//	2 array   size, from, class, transform, parameters; numbers
//	3 planes  size, side, from, class, transform
//	4 text    size, from                    bytes, which probably resemble those at from
//	5 block   size, side, from              bytes
//	6 basis   size, from, class, transform  the basis as it is
//	7 repeat  how many steps back           what that step coded, copies aside
//	8 sparse  as array; numbers of which few differ from their basis
//
// from is an offset in the old view; arrays and planes without basis have none.
// A sparse array is coded in runs of 256 KiB, with each of which a gap ends.
// A transform is its kind (0 none, 1 permuted, 2 low rank, 3 converted,
// 4 scaled, 5 transposed), the matrix's rows, columns and block, the numbers of up to two
// tables, the old class if converted, and where in the matrix the step begins.
//
// A table is its kind and sides, and then
//
//	0 order       permutation, coded by a Fenwick tree of what is left
//	1 factors     blocks: derive.Factors
//	2 conversion  blocks: derive.Conversion
//	3 gains       blocks: int16 for each row, factor (4096+g)/4096
//
// Packs are blocks, too: for the old and the new file the number of runs, and
// for each the distance from the one before, its length in the file and opened,
// its kind, and its parameters; kinds from 128 on are the GGUF blocks of
// [blockTypes]. Both lists are those of the files, so a decoder opens the old
// file exactly as the encoder did, and packs the new one again.
//
// # Promises
//
//   - The same two versions, effort and adapter (the mesh has none) give the same
//     delta each time, whatever the workers; a test pins the bytes. [FormatVersion] names the
//     format, and changes whenever a delta would be decoded otherwise.
//   - The coders are integers only, and a basis is the same bits everywhere, so
//     that a delta decodes on every architecture.
//   - Memory under 128 MiB for files of any size, if the garbage collector is
//     told (debug.SetMemoryLimit, as cmd/dunlin does): two frames at work, their
//     models, and at most 32 MiB of tables. What packed runs hold, over 4 MiB a
//     file, goes to a temporary file without a name.
//   - Hostile deltas end with [ErrDelta], [ErrVersion], [ErrBasis] or
//     [ErrResult], in bounded memory, before more than the declared size of the
//     new file is written. Work is bounded by that size and the delta's.
//   - No goroutine and no file stays behind, whatever happens.
//
// # Not promised
//
// The search for what resembles what uses floating point: it gives the same
// delta each time on one architecture, and on others one that decodes alike. The
// old file is known by its sketch: whether all of it is right shows in the
// digest of the result. What was written before an error is worthless. A read
// that blocks is not interrupted when the context ends.
//
// # Sources
//
// Moved bytes: A. Tridgell, P. Mackerras, "The rsync algorithm", 1996, with a
// hash that multiplies (R. Karp, M. Rabin, 1987). Permutations as they travel: P.
// Fenwick, "A new data structure for cumulative frequency tables", 1994. Low
// rank: N. Halko, P. Martinsson, J. Tropp, "Finding structure with randomness",
// 2011, in package derive. Context mixing: M. Mahoney, "Data Compression
// Explained", 2013, in package codec/mix.
package delta
