// Package weights codes arrays of numbers, as neural networks are made of, by
// context mixing: each against a basis, which is what the array was before, or
// alone. It takes about what theory says that the numbers hold: changes of
// training within 1 % of their information, pruning under 0.1 % of the array,
// what does not change nearly nothing.
//
// # Words
//
// An ordered number is an element as an integer that grows as the element does,
// so that neighbouring floats differ by one. The difference of an element is
// its ordered number minus that of its basis. The class of a difference is the
// number of its bits; that of a float without basis is its exponent, 63 for the
// highest in the array. A level is a logarithm in quarter bits.
//
// # Use
//
//	params := weights.Measure(class, cols, basis, data) // travels beside the bits
//	model := weights.NewModel(class, params.Based)
//	model.Begin(params, 0)
//	model.Code(coder, basis, nil, data)
//
// The same calls encode and decode, by the direction of the coder. A model that
// codes one array after the other keeps what it learned. [Period] finds arrays
// that resemble themselves; integers of such are differences from what is
// foretold, so that their model is based though they have no basis.
// [MeasureSparse] is for arrays of which little changed.
//
// # How
//
// Each element is a few bits, each coded with a probability that slots in
// several contexts say and a mixer weighs (M. Mahoney, "Data Compression
// Explained", 2013, section 4.3); its class is told by questions, as in a unary
// code that begins at what is expected, and digits follow as in Elias' gamma
// code (P. Elias, "Universal codeword sets and representations of the
// integers", 1975):
//
//	for each element, with its basis b (0 without):
//		if the array was pruned and b is not 0:
//			bit: does it become 0?                        pruning
//			if so: done
//		levels := averages of the magnitudes around it    neighbours
//		k := the class they foretell
//		bit: is the class above k?                        search
//		then: above k+1, k+2, ... or above k-1, k-2, ...
//		if the class is 0: done (it is equal; or, a float alone, tiny)
//		bit: is it negative?                              signs
//		bits: the digits below the first                  digits
//		the averages learn
//
// Contexts of the search are how far the class asked for lies from five
// forecasts (the last few elements, the last few dozen, those above, the column
// so far, and all of them), two of these at once, the basis element's size, the
// differences beside and above, how much of the row has changed, and, where it
// is known, what rounding took from the basis. Signs and the first three digits
// have similar contexts and mixers of their own, further digits one slot each.
// Whether an element is pruned is told by the largest magnitude that became
// zero and the smallest that did not, in the array, the row and the row before.
// Averages are of differences as if all had the exponent of the largest basis
// element, so that they foretell the differences of small elements from those
// of large ones.
//
// Of a sparse array, of which few elements differ from their basis, the elements
// that do are coded so, their class being at least 1, and before each of them how
// many do not: the number's bits as a path in a tree, by the average and the last
// such gap, and its digits. What does not differ takes no more than comparing and
// copying it. Neither the basis nor what is around tells which elements differ:
// where they do, mixing takes fewer bits. Averages are of what differs.
//
// An array with a period is foretold by a normalised least-mean-squares filter
// (B. Widrow and M. Hoff, "Adaptive switching circuits", 1960) of the elements
// one to four periods back, above and to the left. What it foretells is the
// basis of integers, and a context of floats.
//
// # Promises
//
// Integers only: equal calls give equal bits on every architecture and for ever;
// testdata/golden.txt pins them. Every element comes back bit for bit: NaN with
// its payload, -0, subnormals, 64-bit integers at any distance. A decoder fed
// with anything, under any parameters that pass [Params.Validate], fills as many
// elements as it is asked for and does not panic; the caller bounds how many,
// looks at [mix.Coder.Err] and checks the outcome by digest. Time goes with the
// number of elements, at most 160 bits each. A model takes 0.5 MiB, rows up to
// 1.5 MiB more, gaps 0.13 MiB, a period up to 4 bytes for each element, in all 16 MiB.
//
// # Not promised
//
// Nothing says where an array's basis is, whether it helps, or how long rows
// are: that is for the caller. Numbers without any likeness grow, those of 1 and
// 2 bytes by a few per cent: compare, and code them otherwise. A model is not
// safe for concurrent use.
package weights
