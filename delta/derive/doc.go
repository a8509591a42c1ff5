// Package derive makes a better basis for a tensor from the old one.
//
// A release may differ from the one before it in ways that move every weight
// and yet say little: an adapter was merged, or all was converted to another
// precision. What was done is found here from the bytes of both; it then travels
// in the delta, and both ends make the same basis from the old tensor, of which
// the new one is nearly or exactly a copy.
//
//	f, ok, err := derive.LowRank(ctx, old, next, 64)     // new ≈ round(old + U·V)
//	f.AddRow(i, class, oldRow, basis)
//	c, ok, err := derive.FindConversion(ctx, old, next)  // another class
//	c.Row(i, oldRow, basis)
//	form := f.AppendBinary(nil)                          // and c likewise
//	f, err = derive.ParseFactors(form, rows, cols)
//
// # Low rank
//
// A merged LoRA adapter (Hu et al. 2021) adds a matrix of rank 4 to 64, and
// then everything is rounded.
//
//	96 rows of 192 columns: can few rows span the others?        else no
//	random sketch, singular vectors (Halko, Martinsson, Tropp 2011)
//	rank := the singular values above the norm of the rounding noise
//	4 times: u := weighted least squares for v, v := the same for u
//	         (weights by each element's unit in the last place)
//	round u and v to integers; precision where factors + residual are least
//
// With that the factors are as good as the true ones: what remains is what the
// publisher's float32 arithmetic added. [FactorsFrom] takes published factors
// instead, whose arithmetic [Factors.BestOrder] finds.
//
// # Conversions
//
// Between floating types by rounding; to integers by factors and zero points,
// which are found by intersecting the intervals that pairs of weight and integer
// allow, or, where a rule such as peak/127 gives them, from the old row alone;
// to the simple GGUF blocks by ggml's reference arithmetic.
//
// # Rest
//
// What rounding removed (AddRowRest, RowRest) tells a coder which elements may
// differ from the basis, and to which side.
//
// # Promises
//
// A basis is the same bits on every architecture: products and sums are rounded
// one by one in a fixed order, and conversions that meet a NaN work on bits.
// Making one allocates nothing. Finding reads rows through [io.ReaderAt], in
// memory that is bounded whatever the size of the matrices, and gives the same
// result each time on one architecture. Any bytes parse to a valid value or an
// error. NaN, infinities and subnormals in tensors do no harm.
//
// # Not promised
//
// That what is found is what was done: whoever codes compares sizes. Integers to
// other integers, and matrices over 2^20 elements wide or with over 4 Mi numbers
// in their factors, are left to other means.
//
// Only package delta imports this.
package derive
