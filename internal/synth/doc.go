// Package synth makes updates of models that the corpus has no real pair of:
// the classes of the corpus README's table, and classes beside them that
// nothing was tuned on. Tests and `make bench-delta` use it; nothing in
// production imports it.
//
//	source := synth.Open(corpusDir)
//	for _, class := range synth.Classes() {
//		update, err := class.Make(source)
//		// update.Old, update.New: two complete files
//	}
//
// # How they are made
//
// A real model of the corpus gives the tensors (its f32 tensors of two and
// more elements: 122 in ppocrv4-rec, as the README counts), a change is made to
// them, and both states are written as files:
//
//   - noise: every weight w becomes w + ratio·rms·g, where rms is the root mean
//     square of its tensor and g is drawn from a normal distribution
//   - scatter: one weight in a hundred becomes w + rms·g/10
//   - prune: in every tensor of rank 2 and more the given share of weights,
//     those of least magnitude, becomes 0
//   - low rank: every tensor that is a matrix of at least 8 rows and columns,
//     the rows being its first axis, gets the product of two factors added,
//     whose rms is 1 % of the tensor's
//   - reorder: hidden neurons change places, in all tensors that have an axis
//     for them, so that the network computes what it did
//
// f32 is written into the real ONNX file. For other types the README's sizes
// are those of the arrays alone, one after the other without any header: so
// are the classes here, and each has a twin in a safetensors file. Int8 is
// symmetric, with one f32 scale for each output channel after the channel's
// tensor; vectors stay f32.
//
// # Promises
//
// The same bytes on every architecture, from the same corpus: randomness is
// ChaCha8 seeded by the class's name, the normal distribution is a sum of
// integers, and every product is rounded before it is added. The exception is
// the deflated npz, which is as Go's compress/flate of the day makes it (and no
// zlib would).
//
// # Not promised
//
// That the models still work: the changes have the statistics of updates, and
// are none. Memory: an update is held whole, up to 100 MB.
package synth
