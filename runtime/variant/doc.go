// Package variant chooses, among the variants of a release, the one that a
// machine runs.
//
// # The choice
//
//	hard requirements    system, architecture, instruction sets, provider, memory
//	    one not met: the variant is out, and says which
//	memory to load it    what the load takes at its peak, beside what serves
//	    what does not fit comes after all that fit
//	latency              measured here, or else estimated; within 10 % is the same
//	bytes to fetch       fewest first
//	order                as the publisher wrote them
//
// [Choose] is a function of its [Input] alone: the same input gives the same
// [Decision], and the decision is the whole table, with a reason in words for
// each requirement and each rank. `dunlin why` prints it.
//
// # Latency
//
// What was measured here with this variant counts. One that never ran here is
// estimated: the time per operation that the profile measured for its precision
// on its provider, scaled by a variant of the same model that was measured.
// Where the profile has no figures, int8 is taken for 0.6 and an accelerator
// for 0.5 of float32 on the CPU; these are rules of thumb, and the first
// measurement replaces them.
//
// # It does not flap
//
// The variant that serves stays as long as it meets its hard requirements,
// unless another would answer in less than 80 % of its time and its load fits
// into 80 % of the memory at hand. Memory at hand is not asked of what serves:
// it has it. So a machine whose memory or load moves a little around a bound
// fetches nothing.
//
// # Not promised
//
// That a chosen variant loads: an operator that the library lacks is found when
// it is tried. The caller then marks it in [Input.Failed] and chooses again.
package variant
