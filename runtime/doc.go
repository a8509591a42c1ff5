// Package runtime runs models: it says what a tensor, a signature, an engine
// and a session are, and it keeps, for each model, exactly one active release
// that answers requests.
//
// # The nouns
//
//   - A [Tensor] is an n-dimensional array of one [DType], little endian, row
//     major. It has a JSON form for people ([Tensor.MarshalJSON]) and a .npy
//     form for NumPy ([ReadNPY], [WriteNPY]).
//   - An [Engine] turns a model file into a [Session]; a session runs. The one
//     real engine is ONNX Runtime in the folder onnx, the only cgo of the
//     project. [NoEngine] stands where there is none: such a node carries and
//     serves chunks, and says why it cannot run models.
//   - An [Activator] owns the sessions. A [Candidate] is a release that lies
//     whole on this disk and may become active.
//
// # Activation
//
//	verifying   whole files, golden set too, against their digests
//	probing     a child process loads it and runs its golden set: crashes stay there
//	loading     this process loads it; a crash from here on is held against it
//	warming     this process runs it a few times
//	switching   hooks tell other programs; then one durable write, the commit point
//	soaking     it serves, watched, with tries left: errors, NaN, latency, restarts
//	committed
//
// Each stage is in state.json while it lasts. Whatever fails before the switch,
// the active release keeps serving; what fails while it is watched is rolled
// back to the release before, or taken out of service where there is none. A
// release that was rolled back, or whose loading ended the process three times,
// is quarantined: nothing loads it again before [Activator.Forgive]. A failure
// has a [Class], and a file of [Evidence] beside state.json. Without memory for
// two releases the old one is unloaded first, a declared outage, and loaded
// again where the new one fails.
//
// # Promised
//
// A request is answered whole by one release, and the answer names it. State
// on disk is always one that [Activator.Restore] understands. No session is
// closed under a request. Memory: at most two sessions of one model at a time,
// and one activation at a time in a process.
//
// # Not promised
//
// That a release is good: it does what its golden set says, no more. That NaN is
// seen in large outputs: evenly spread samples are looked at. That a file stays
// unchanged after Verify: the store sees to that. That a session can be
// interrupted at once: cancelling a context stops ONNX Runtime between two
// nodes of the graph.
//
// Outside its folder this package is imported as modelrt, so that the standard
// library keeps its name. It never imports gossip, transfer or store; it is
// given paths and functions.
package runtime
