package runtime

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/dunlin-mesh/dunlin/runtime/limit"
)

// Class says what a failure comes from, and so whom it concerns.
type Class string

// The classes of failures.
const (
	// ClassContent: the release itself: its golden set fails, it crashes the
	// runtime, it answers with NaN. Machines like this one will see the same;
	// only these failures are told to others.
	ClassContent Class = "content"
	// ClassEnvironment: this machine: a library that lacks an operator or an
	// opset, a provider that does not work, rotten files, a hook that fails.
	ClassEnvironment Class = "environment"
	// ClassResource: memory, disk or time that this machine does not have.
	ClassResource Class = "resource"
)

// Failure is the error of an attempt that failed: which stage, and what it comes
// from. errors.AsType finds it in what Activate returns. It wraps the cause.
type Failure struct {
	Release Release
	Stage   Stage
	Class   Class
	// Evidence is the absolute path of the file with all that is known about it;
	// empty where it could not be written.
	Evidence string
	cause    error
}

// Error is "STAGE: CAUSE".
func (f *Failure) Error() string { return string(f.Stage) + ": " + f.cause.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.cause }

// errHung: the child did not answer in time.
var errHung = errors.New("no answer in time")

// classOf tells what err comes from.
func classOf(err error) Class {
	switch {
	case errors.Is(err, ErrGolden), errors.Is(err, errNonFinite), errors.Is(err, errErrorRate), errors.Is(err, errDrift):
		return ClassContent
	case errors.Is(err, limit.ErrMemory), errors.Is(err, errHung), errors.Is(err, errKilled), errors.Is(err, errSlower),
		errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.ENOMEM):
		return ClassResource
	case errors.Is(err, ErrVerify), errors.Is(err, ErrState), errors.Is(err, ErrNoRuntime), errors.Is(err, ErrProvider),
		errors.Is(err, ErrHook), errors.Is(err, errRestarted), errors.Is(err, ErrCandidate), errors.Is(err, fs.ErrNotExist):
		return ClassEnvironment
	case errors.Is(err, ErrLoad):
		return classOfRefusal(err.Error())
	}
	return ClassContent
}

// classOfRefusal reads the words with which ONNX Runtime refuses a model: what
// the library lacks is no fault of the model's (onnxruntime/core/graph/model.cc,
// graph.cc and framework/session_state.cc, release 1.32).
func classOfRefusal(text string) Class {
	for _, words := range []string{"Failed to allocate memory", "bad_alloc", "out of memory"} {
		if strings.Contains(text, words) {
			return ClassResource
		}
	}
	for _, words := range []string{
		"is not a registered function/op", "No Op registered for", "No opset import for domain",
		"Could not find an implementation", "NOT_IMPLEMENTED", "Unsupported model IR version",
		"official released onnx opset versions", "Opset", "is under development and support for this is limited",
	} {
		if strings.Contains(text, words) {
			return ClassEnvironment
		}
	}
	return ClassContent
}
