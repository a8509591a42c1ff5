// Package weights codes arrays of numbers by context mixing: the weights of a
// network, against those of an earlier version or alone.
//
//	params := weights.Measure(class, cols, basis, data)
//	model := weights.NewModel(class, basis != nil)
//	model.Begin(params, 0)
//	model.Code(coder, basis, nil, data)
//
// Decoding is the same calls with a decoder of package mix, which fills data.
// What is needed beside the coded bits are the parameters and the length.
//
// # How
//
// Numbers are taken in the order of their values: integers as they are, floats
// by their bits. Against a basis the difference of these is coded, so steps are
// units in the last place, and most differences are short.
//
//	for each element:
//	    where pruning is about: does it become zero?  contexts: the bounds above
//	        and below which others of this array, this row, the last row did
//	    the class, which is the length of the difference in bits (of floats
//	        without basis the exponent), from the expected one up or down
//	    the sign, three upper bits, the other bits
//
// The expected class comes of averages of magnitudes: of the last few elements,
// of the row, of the row above and of the column. They are kept on a linear
// scale, so that the exponent of the basis drops out: training moves weights by
// amounts that have little to do with their size. Each average is a context in
// quarters of a bit, as are the exponent or value of the basis, the elements
// around, how much of the row has changed and, where it is known, what rounding
// took from the basis; a mixer weighs them. Arrays that resemble themselves at a
// distance, a period, are foretold by a least-mean-squares filter.
//
// Sources: M. Mahoney, "Data Compression Explained", 2013, for mixing; B. Widrow
// and M. Hoff, "Adaptive switching circuits", 1960, for the filter; P. Elias,
// "Universal codeword sets", 1975, for length first and digits after.
//
// # Promises
//
// Integers only; equal calls give equal bits on every architecture, and tests
// pin them. Any bits decode to something: nothing here panics or reads past what
// it was given, and the work is bounded by the length of data. Several million
// numbers a second and core, see the benchmarks.
//
// # Not promised
//
// That it helps: noise in a mantissa stays noise. Whether a basis or a period is
// worth having, the caller finds out by trying.
package weights
