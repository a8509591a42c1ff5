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
//	Candidate.Verify              whole files against their digests
//	Prober.Probe                  a child process loads it: crashes stay there
//	state.json: pending           a crash until here: forgotten, try again
//	Engine.Load                   a crash here: counted, the third quarantines
//	state.json: active, previous  the commit point, one durable write
//	switch in memory              new requests go to the new session
//	drain, close the old one      requests in flight finish on what they began on
//
// Whatever fails on the way, the active release keeps serving undisturbed, and
// the reason is recorded and returned. A release whose loading ended the process
// three times, as new or as the active one, is quarantined: no start and no
// Activate loads it again before [Activator.Forgive].
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
// That a release is good: golden sets, warm-up, watching and rolling back by
// itself come with the full activation state machine. That a file stays
// unchanged after Verify: the store sees to that. That a session can be
// interrupted at once: cancelling a context stops ONNX Runtime between two
// nodes of the graph.
//
// Outside its folder this package is imported as modelrt, so that the standard
// library keeps its name. It never imports gossip, transfer or store; it is
// given paths and functions.
package runtime
