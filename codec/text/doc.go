// Package text codes bytes of no known number type against an old version of
// them: the graph of an ONNX model, the header of a safetensors file, pickles,
// sources, vocabularies, directories of archives, anything.
//
// # Use
//
//	old, err := text.NewOld(file, size, text.DefaultBudget)
//	model := text.NewModel(old, total)
//	for _, run := range runs {
//		err = model.Code(ctx, coder, run.hint, run.bytes)
//	}
//
// The same calls encode and decode: with an encoder the bytes are coded, with a
// decoder they are filled in. Both sides must know the lengths of the runs, the
// hints, the total and the old file.
//
// # How
//
// Context mixing as in the paq family (M. Mahoney, "Data Compression
// Explained", 2013, sections 4.1 and 4.3): contexts of the last bytes, of words,
// of names without their numbers and of what old says next keep bit histories;
// matches say which byte they expect; mixers weigh all of them; a last stage
// corrects the outcome. Three matches are followed: the place in old beside
// which the run goes (the follower, which begins at the hint and finds its way
// again after bytes replaced, put in or left out), the longest match anywhere
// in old, and the longest in what was coded.
//
// # Promises
//
// Integers only: equal calls give equal bytes on every architecture; a test
// pins them. Decoding anything ends without panic, with bytes that the caller
// checks by digest. Bytes that cannot be foretold grow by less than 0.05 % and
// 8 bytes. A model takes up to 8 MiB, less for small totals; an [Old] its
// budget.
//
// # Not promised
//
// Nothing here finds whole files or moved tensors: the caller copies those. A
// model is not safe for concurrent use; two may run at the same time, each with
// an Old of its own.
package text
