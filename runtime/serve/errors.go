package serve

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/grpc/codes"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/serve/wire"
)

// errRefused: the protocol has it, and here somebody else decides it.
var errRefused = errors.New("refused")

// errTooLarge: the request is over Config.MaxRequestBytes.
var errTooLarge = errors.New("request is too large")

// statusClientClosed is what REST clients would be told that have gone away;
// servers that log statuses use 499 for it.
const statusClientClosed = 499

// statuses tells, in order, which errors are which status.
func statuses() [9]struct {
	is   []error
	grpc codes.Code
	http int
} {
	return [...]struct {
		is   []error
		grpc codes.Code
		http int
	}{
		{[]error{errTooLarge}, codes.ResourceExhausted, http.StatusRequestEntityTooLarge},
		{[]error{ErrUnsupported}, codes.Unimplemented, http.StatusNotImplemented},
		{[]error{errRefused}, codes.PermissionDenied, http.StatusForbidden},
		{[]error{ErrUnknownModel}, codes.NotFound, http.StatusNotFound},
		{[]error{wire.ErrMalformed, modelrt.ErrInput, modelrt.ErrTensor}, codes.InvalidArgument, http.StatusBadRequest},
		{[]error{modelrt.ErrOverloaded}, codes.ResourceExhausted, http.StatusTooManyRequests},
		{[]error{context.DeadlineExceeded}, codes.DeadlineExceeded, http.StatusGatewayTimeout},
		{[]error{context.Canceled}, codes.Canceled, statusClientClosed},
		{[]error{modelrt.ErrNotActive, modelrt.ErrNoRuntime, modelrt.ErrClosed}, codes.Unavailable, http.StatusServiceUnavailable},
	}
}

// statusOf returns how err is told to clients; what nobody foresaw is the
// server's own fault.
func statusOf(err error) (codes.Code, int) {
	for _, s := range statuses() {
		for _, target := range s.is {
			if errors.Is(err, target) {
				return s.grpc, s.http
			}
		}
	}
	return codes.Internal, http.StatusInternalServerError
}
