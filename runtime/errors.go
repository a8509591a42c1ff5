package runtime

import "errors"

var (
	// ErrNoRuntime: this build or this machine cannot run models; it still
	// carries and serves chunks. The text around it says why and what to do.
	// Trying again without changing the machine is useless.
	ErrNoRuntime = errors.New("this node cannot run models (it still carries and serves chunks)")

	// ErrVerify: the candidate's files are not what its release says. They must
	// be repaired or fetched again before another attempt.
	ErrVerify = errors.New("model files do not verify")

	// ErrProbe: the child process that loaded the candidate first crashed, was
	// killed, or did not answer in time. This process is unharmed; trying again
	// makes sense only after something changed (driver, memory, library).
	ErrProbe = errors.New("trial load in a child process failed")

	// ErrLoad: the engine refused the model file (malformed, wrong opset,
	// missing operator, missing external data). Trying the same bytes on the
	// same engine again is useless.
	ErrLoad = errors.New("model cannot be loaded")

	// ErrProvider: the execution provider that was asked for is not in this
	// library, or does not work on this machine; the text says which and why.
	// The model may be good: another provider, or another library, may run it.
	ErrProvider = errors.New("execution provider cannot be used here")

	// ErrGolden: the release's golden set failed: outputs differ from what its
	// publisher expects, or the set is malformed. Trying the same bytes on the
	// same machine again is useless.
	ErrGolden = errors.New("golden set failed")

	// ErrQuarantined: the release was rolled back, or loading it ended this
	// process time and again though the child process survived it. It is not
	// tried before Activator.Forgive, which only an operator should call.
	ErrQuarantined = errors.New("release is quarantined")

	// ErrHook: what tells another program of the new release failed: a command, a
	// link, an HTTP call. The release before is told again. Put the hook right.
	ErrHook = errors.New("activation hook failed")

	// ErrUnavailable: the model's release is being replaced on a machine without
	// memory for two; wrapped beside ErrNotActive. The caller may try again after
	// a few seconds.
	ErrUnavailable = errors.New("unavailable while its release is replaced, try again in a few seconds")

	// ErrNoWayBack: there is no release to roll back to.
	ErrNoWayBack = errors.New("no release to go back to")

	// ErrInput: the request does not fit the model's signature. The caller must
	// change the request.
	ErrInput = errors.New("input does not fit the model")

	// ErrRun: the model failed while running on inputs that fit its signature.
	ErrRun = errors.New("model failed while running")

	// ErrOverloaded: as many requests wait, or as many bytes are in flight, as
	// are allowed. Nothing was run; the caller may try again a little later, or
	// ask another node.
	ErrOverloaded = errors.New("overloaded")

	// ErrWorker: the worker process that ran the model crashed or had to be
	// killed; wrapped beside ErrRun or ErrLoad. Another worker is being started:
	// the caller may try again, but a request that ends it twice will again.
	ErrWorker = errors.New("worker process failed")

	// ErrTensor: a tensor, or an encoded tensor, is malformed or over its bound.
	ErrTensor = errors.New("malformed tensor")

	// ErrNotActive: no release of the model is active here. The caller may wait
	// for one, or ask another node.
	ErrNotActive = errors.New("no active release")

	// ErrEntry: a variant does not say which of its files to load.
	ErrEntry = errors.New("no single model file to load")

	// ErrCandidate: a candidate lacks a field or points outside its folder.
	ErrCandidate = errors.New("malformed candidate")

	// ErrState: the state file cannot be read or written. The active releases
	// go on serving; no activation happens until it is put right.
	ErrState = errors.New("activation state")

	// ErrClosed: the activator or session is closed.
	ErrClosed = errors.New("closed")
)
