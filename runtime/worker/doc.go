// Package worker runs models in worker processes: an Engine whose every session
// is a child process of this program, so that a model, a driver or a runtime
// that crashes takes no more with it than the requests that were under way.
//
// # When to use it
//
// Where models come from others, or execution providers are not trusted to
// stay up. It costs a process per loaded model and some tens of microseconds
// per request; docs/runtime.md has the figures. Without it, an engine runs
// models in this process, and a crash there ends the node.
//
// # The nouns
//
//   - A worker is a child process (this program, started with [Argument]) that
//     has loaded one model. [Main] is all that it does.
//   - A frame is a message between this process and a worker, over a pair of
//     connected sockets: a header, a body, and tensors that travel inline.
//   - An arena is memory that both processes map: one for inputs, where this
//     process allocates, one for outputs, where the worker does. A tensor of
//     [sharedFrom] bytes and more lies in an arena while there is room, and
//     travels inline otherwise. Only Linux builds have arenas (memfd_create);
//     elsewhere all tensors travel inline. Info().Worker says which it is.
//
// # What happens to a worker
//
//	Load          start a child, have it load the model, learn the signature
//	Run           a frame there, a frame back; many may be under way
//	ctx ends      Run returns at once; the worker is told to stop that run
//	no stop       within Config.StopTimeout: the worker is killed
//	it ends       runs under way fail with ErrWorker and ErrRun; a new child is
//	              started: after 100 ms, then twice as late each time, up to 30 s
//	ready again   runs that came meanwhile go on; after the fourth crash in a row
//	              they are not kept waiting but fail at once
//	Close         the worker is told to go, and killed if it does not
//
// A worker that has lived for a minute begins with 100 ms again. Crashes are
// counted ([runtime.Supervised]), so that an activator may go back.
//
// # Promised
//
// Whatever a worker does or says, this process neither crashes nor waits longer
// than a request's context allows, nor allocates more than the model's outputs
// may take: frames are strictly decoded with bounds before allocation, tensors
// are copied out of shared memory before they are checked, and arenas are sealed
// so that no process can shrink them. No worker outlives this process: on Linux
// the kernel kills it, and everywhere it ends when its socket does.
//
// # Not promised
//
// A worker is no sandbox: it runs as the same user and may read what this
// process may. A worker started after this program was replaced on disk is the
// new program; it refuses to work if it speaks another protocol.
package worker
