// Package batch stands between requests and a model: it bounds how many run and
// wait, and puts requests that wait together into one run where that is proven
// to change nothing.
//
//	engine, err := batch.NewEngine(engine, batch.DefaultConfig(logger))
//
// An [Engine] wraps another; each session it loads has a queue of its own, so
// whoever uses sessions (the activator, golden runs, serving) needs no change.
//
// # How a request goes
//
//	bytes of inputs over Config.MaxBytes       ErrOverloaded
//	a run is free, nobody waits                runs at once, in the caller's goroutine
//	Config.Queue requests wait already         ErrOverloaded
//	waits, first come first served             its context ends: it leaves the queue
//	a run is free: the first of the queue      alone, or with those behind it that fit
//
// # What is put together
//
// Requests whose tensors differ in nothing but the size of the first dimension,
// to at most Config.MaxBatch rows. The model must have a first dimension of any
// size in all inputs and all outputs. A model with a state such as silero-vad,
// whose state has its batch in the second dimension, or with a scalar, is so
// never batched: its signature says it.
//
// A signature promises nothing, though: the first dimension may be time, or a
// layer may normalise over the whole batch. So a session begins unproven: three
// pairs of requests that differ are run alone and together, and the answers
// compared, floats within 1e-4 of the largest magnitude in an output and all
// other types exactly. After three agreements in a row requests are batched; one
// disagreement or failure, and they never are, until the session is loaded
// anew. These requests are answered from the runs alone.
//
// If a batch fails, its requests are run one by one, so that a bad one fails
// alone.
//
// # Promised
//
// With Config.Delay 0 (the default) nobody waits for others to come: batches
// form only of requests that had to wait. With a delay, a request waits at most
// that long while a run is free. A context that ends stops its run between two
// operators of the model; a batch is stopped when the contexts of all its
// requests have ended. The bytes of inputs of all requests, and of the copies
// that batches need, stay within Config.MaxBytes.
//
// # Not promised
//
// Priorities. A bound on outputs: what a model gives is its own. That answers
// are the same to the last bit as alone: kernels add in another order for
// another batch.
package batch
