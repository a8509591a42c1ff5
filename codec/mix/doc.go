// Package mix holds the parts of a context-mixing coder: a binary arithmetic
// coder, adaptive bits, and a mixer that weighs what they say. Packages
// codec/weights and codec/text build their models from them.
//
// # Use
//
// A model asks each of its contexts for a probability, mixes them, codes the
// bit and lets all of them learn:
//
//	for i := range slots {
//		inputs[i] = mix.Stretch(slots[i].P())
//	}
//	p := mixer.Mix(set, inputs)
//	bit = coder.Code(bit, p)
//	mixer.Learn(bit)
//	for i := range slots {
//		slots[i].Learn(bit, limit)
//	}
//
// [Mixer4], [Mixer8] and, without a mixer, [Slot.Code] do all of that for one bit
// in one call. The same code
// encodes and decodes, because [Coder.Code] returns the bit that it coded in
// either direction: what cannot differ cannot disagree.
//
// # Words
//
// A probability is that of a 1, in 65536. A logit is ln(p/(1-p)) in 256ths:
// [Stretch] leads there and [Squash] back. A slot is the probability in one
// context and how sure it is. A set is the weights of a mixer in one situation.
//
// # Sources
//
// The coder is the carry-less range coder of lpaq and paq8 (M. Mahoney, "Data
// Compression Explained", 2013, sections 3.2 and 4.3) with 64-bit bounds and
// 16-bit probabilities; the slots are its adaptive-rate state maps; the mixer
// is its gated logistic mixing.
//
// # Promises
//
// Integers only, tables included: equal calls give equal bytes on every
// architecture. A decoder fed with anything returns bits for ever and reads
// zeros past the end; the caller bounds how many it asks for and looks at
// [Coder.Err]. Coding costs under 0.1 % more than the probabilities say. Nothing
// here is safe for concurrent use.
//
// # Not promised
//
// Coded bits do not say where they end, nor whether they are intact. Sets and
// slots out of range panic: they are the model's own, never the input's.
package mix
