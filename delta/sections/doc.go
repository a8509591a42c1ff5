// Package sections finds arrays of numbers in bytes of no known structure: the
// flat nets of chess engines, tensors in dumps and archives that have no reader
// in package chunker. [Find] says what class of elements lies where, [Cols] how
// long the rows of an array are. Package delta asks both before it codes such
// bytes; nothing else has reason to.
//
//	found, err := sections.Find(ctx, file, 0, size)
//	cols, err := sections.Cols(ctx, file, offset, length, codec.F32)
//
// # How arrays are told
//
// A state is a class and where, modulo the width, its elements begin: 32 states
// in all. For windows of 4 KiB each state has a cost, the bits of a description
// by counts of single bytes that fit the class:
//
//	floats    exponents by their entropy, mantissas uniform or ending in zeros
//	integers  magnitudes by the entropy of the highest bits, the rest uniform
//	          where the number reaches above it
//	int8      values as likely as those around them, or of the other sign
//	other     bytes by their entropy, repetitions for next to nothing
//
// The path of least cost through the windows, each change of state at a price
// (Viterbi), says what is where. Around changes it is found again for blocks of
// 256 bytes, and then the byte at which one state best gives way to the next,
// by the lengths of single elements under the statistics of both sides.
//
// Ranges over 8 MiB are looked at by one window in 64 KiB (fewer over 2 GiB),
// and by more where neighbours differ.
//
// Rows are told by autocorrelation of magnitude and value: elements that belong
// to one column resemble each other.
//
// # Promises
//
//   - Sections cover the range exactly, in order, for any bytes.
//   - The same bytes give the same sections on one architecture. What they say
//     travels in the delta, so another's may differ.
//   - Memory is under 32 MiB, and no byte of a range is read more than a few
//     times, whatever the range.
//
// # Not promised
//
// Sections are guesses. A wrong one costs compression, never correctness. Signed
// and unsigned integers are not told apart, nor int8 from 8-bit floats; arrays
// of 4 bits, of block types and big-endian ones are Other or Int8. Two arrays
// of one class and phase side by side are one section. In sampled ranges arrays
// shorter than the stride may be missed.
package sections
