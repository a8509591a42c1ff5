// Package align recognises permuted networks: hidden units that stand in
// another order than in the previous release.
//
//	perms, aligned, err := align.Permutations(ctx, pairs)
//
// A network computes the same when the rows of one tensor, the entries of its
// bias and the columns of the next tensor are re-ordered alike. Training tools
// and converters do so (sorting neurons by use, for instance), and to whoever
// compares the bytes, every weight has changed. Permuting the old tensor first
// gives a basis that differs as little as the two releases really do.
//
// # Words
//
//   - A unit is an index of an axis: a row or a column of a [Matrix].
//   - A match of an axis names for units of the new matrix the unit of the old
//     one that it was. A unit of a match is sure if nothing else comes near.
//   - A group is the axes, of any of the pairs, that were re-ordered alike.
//
// # How
//
//	for each pair, two at a time:
//	    compare a sample in place: rows and columns all alike? -> identity
//	    match rows, columns by sums of hashes of their elements (any order of the other axis)
//	    else match rows as if columns stood, columns as if rows stood
//	    else match rows, columns by distributions of their elements
//	    from the sure units of one axis match the other, in turn, while that gains
//	    keep what a sample proves to cost fewer bits than identity
//	group equal matches; try each group on axes that are still open
//	settle each group's unsure units by all of its tensors together
//	give up groups that save less than they cost
//
// Two units match if each is the other's nearest and the next one is clearly
// farther, as is usual for descriptors in images (Lowe, "Distinctive image
// features from scale-invariant keypoints", 2004, section 7.1).
//
// # Promises
//
//   - Results depend on the bytes alone: fixed order, ties to the lowest index,
//     floating point without fused operations. Nothing of it is needed to
//     decode: permutations travel.
//   - Every result is a bijection, and was checked on a sample to save more
//     bits than writing it down costs. Noise, NaN, equal units, zeros and other
//     degenerate tensors yield identity, not an error.
//   - Memory stays under 32 MiB beside the result, whatever the tensors'
//     sizes; matrices are read a few rows at a time, at most a dozen times.
//
// # Not promised
//
// Alignment is a search, not a proof. Left as they stand are networks that were
// trained anew and only resemble their predecessors in another order, because
// coding gained nothing by it; axes of more than 2^17 units; rows of more than
// 2 MiB; and what is permuted inside a Block or transposed.
//
// The package imports the standard library and the element classes of codec.
package align
