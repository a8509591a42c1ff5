package client

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// ErrRequest: the node cannot take the request as it is. Change it.
	ErrRequest = errors.New("request is refused")

	// ErrNotFound: the node has no such model, or not in that version.
	ErrNotFound = errors.New("no such model")

	// ErrOverloaded: too many requests wait at the node, or it would not take one
	// so large. Nothing was run; try again a little later.
	ErrOverloaded = errors.New("node is overloaded")

	// ErrUnavailable: the node cannot be reached, or no release of the model is
	// active. Try again later, or at another node.
	ErrUnavailable = errors.New("node is unavailable")

	// ErrServer: the model or the node failed on a request that it took.
	ErrServer = errors.New("node failed")

	// ErrTensor: values, shape and type of a tensor do not agree.
	ErrTensor = errors.New("malformed tensor")
)

// ofStatus returns a gRPC error as one of ours. What ended with ctx wraps its
// error.
func ofStatus(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	kind := ErrServer
	switch s.Code() {
	case codes.DeadlineExceeded:
		kind = context.DeadlineExceeded
	case codes.Canceled:
		kind = context.Canceled
	case codes.InvalidArgument, codes.Unimplemented, codes.PermissionDenied, codes.OutOfRange:
		kind = ErrRequest
	case codes.NotFound:
		kind = ErrNotFound
	case codes.ResourceExhausted:
		kind = ErrOverloaded
	case codes.Unavailable:
		kind = ErrUnavailable
	}
	if ctx.Err() != nil {
		kind = ctx.Err()
	}
	return fmt.Errorf("%w: %s", kind, s.Message())
}
