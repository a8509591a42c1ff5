package node

import (
	"context"
	"errors"

	"github.com/dunlin-mesh/dunlin/bundle"
	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
	"github.com/dunlin-mesh/dunlin/trust"
)

// ErrNotRunning says that a call needs the network and the node is not up.
var ErrNotRunning = errors.New("the node is not running: start it with `dunlin up`")

// wireError gives a failure the code that says what the caller may do; it is
// the one place where errors of all packages are told apart.
func wireError(err error) *api.Error {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e
	}
	return &api.Error{Code: codeOf(err), Message: err.Error()}
}

func codeOf(err error) api.Code {
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	if _, ok := errors.AsType[*chunker.FormatError](err); ok {
		return api.CodeFailed
	}
	switch {
	case is(manifest.ErrName, manifest.ErrCID, modelrt.ErrInput, modelrt.ErrTensor):
		return api.CodeUsage
	case is(errWrongModel, bundle.ErrMalformed, transfer.ErrManifest, trust.ErrForged, trust.ErrMalformed, trust.ErrRollback, trust.ErrEquivocation, trust.ErrExpired, trust.ErrMismatch,
		store.ErrCorrupt, store.ErrMismatch, manifest.ErrContent, modelrt.ErrVerify, modelrt.ErrGolden):
		return api.CodeUnverified
	case is(ErrNotRunning, trust.ErrMoved, store.ErrLocked, trust.ErrLocked, modelrt.ErrUnavailable, context.DeadlineExceeded):
		return api.CodeUnreachable
	case is(store.ErrFull):
		return api.CodeBudget
	}
	return api.CodeFailed
}
