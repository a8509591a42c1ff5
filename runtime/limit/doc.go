// Package limit starts child processes that end with this one and keep within
// bounds: how much memory they take, and how much of the processor they leave
// to others.
//
// # When to use it
//
// For every child process that runs a model: the prober's, which tries one,
// and a worker's, which serves one. [Run] is cmd.Run with limits; [Start] and
// [Process.Wait] are its two halves for a child that lives long.
//
// # Memory
//
// What counts is what the kernel cannot take back without killing somebody:
// anonymous and shared memory, swapped out or not. A model file that is mapped
// into memory does not count. On Linux, /proc/PID/status tells; it is read the
// more often the nearer the child is to its limit, so that one that grows by
// [assumedGrowth] a second is killed before it is over by more than a fraction,
// and one that rests costs two reads a second. A child over its limit is
// killed, and Wait says so with [ErrMemory]. No control group is made: that
// takes a delegated subtree, which few of the machines meant have.
//
// The kernel's own choice, when the machine runs out of memory, is the child
// before this process (oom_score_adj, Linux).
//
// # Promised
//
// On Linux no child outlives this process, even if that is killed by -9 and
// the child is stopped: the kernel kills it (PR_SET_PDEATHSIG).
//
// # Not promised
//
// That memory never exceeds the limit: it is watched, not walled in. On systems
// other than Linux a memory limit cannot be kept, and asking for one is an error
// that wraps errors.ErrUnsupported; nothing kills the child with its parent
// there, so give it a pipe whose end tells it to go.
package limit
