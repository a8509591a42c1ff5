package api

import "fmt"

// Code says what kind of failure an error is, and so what a caller may do.
type Code string

// The codes, with the exit code that the command line gives each.
const (
	CodeFailed      Code = "failed"      // 1: it did not work; the message says why
	CodeUsage       Code = "usage"       // 2: the request is wrong; change it
	CodeUnverified  Code = "unverified"  // 3: a signature, digest or golden run does not hold
	CodeUnreachable Code = "unreachable" // 4: no node, no peer, or out of time; try again
	CodeBudget      Code = "budget"      // 5: over budget, quota or disk; make room
)

// Error is a failure as it travels to the caller.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// ExitCode returns the process exit code for e.
func (e *Error) ExitCode() int {
	switch e.Code {
	case CodeUsage:
		return 2
	case CodeUnverified:
		return 3
	case CodeUnreachable:
		return 4
	case CodeBudget:
		return 5
	}
	return 1
}

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
