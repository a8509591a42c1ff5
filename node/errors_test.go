package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
	"github.com/dunlin-mesh/dunlin/trust"
)

// Which failures say what to a caller.
func TestCodes(t *testing.T) {
	for _, test := range []struct {
		code api.Code
		exit int
		errs []error
	}{
		{api.CodeUsage, 2, []error{manifest.ErrName, manifest.ErrCID, modelrt.ErrInput, modelrt.ErrTensor}},
		{api.CodeUnverified, 3, []error{
			trust.ErrForged, trust.ErrMalformed, trust.ErrRollback, trust.ErrEquivocation, trust.ErrExpired, trust.ErrMismatch,
			store.ErrCorrupt, store.ErrMismatch, manifest.ErrContent, modelrt.ErrVerify, errWrongModel, transfer.ErrManifest,
		}},
		{api.CodeUnreachable, 4, []error{ErrNotRunning, store.ErrLocked, trust.ErrLocked, context.DeadlineExceeded}},
		{api.CodeBudget, 5, []error{store.ErrFull}},
		{api.CodeFailed, 1, []error{modelrt.ErrLoad, modelrt.ErrNotActive, trust.ErrUnknown, &chunker.FormatError{Format: "onnx"}, errors.New("disk")}},
	} {
		for _, err := range test.errs {
			wire := wireError(fmt.Errorf("call: %w", err))
			if wire.Code != test.code || wire.ExitCode() != test.exit || !strings.HasPrefix(wire.Message, "call: ") {
				t.Errorf("%v: %+v, exit %d; want %s, %d", err, wire, wire.ExitCode(), test.code, test.exit)
			}
		}
	}
	own := api.Errorf(api.CodeBudget, "too dear")
	if got := wireError(fmt.Errorf("call: %w", own)); got != own {
		t.Errorf("a code that was chosen is replaced: %+v", got)
	}
}

func TestFillZeros(t *testing.T) {
	s := modelrt.Signature{Inputs: []modelrt.Port{
		{Name: "x", DType: modelrt.F32, Shape: []int64{-1, 3}}, {Name: "given", DType: modelrt.U8, Shape: []int64{1}},
	}}
	given := map[string]modelrt.Tensor{"given": {DType: modelrt.U8, Shape: []int64{1}, Data: []byte{7}}}
	got, err := fillZeros(given, s)
	if err != nil || len(got) != 2 || got["given"].Data[0] != 7 || len(got["x"].Data) != 12 || got["x"].Shape[0] != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if len(given) != 1 {
		t.Error("the caller's inputs were changed")
	}
	if got, err := fillZeros(nil, s); err != nil || len(got) != 2 {
		t.Errorf("no inputs at all: %+v, %v", got, err)
	}
	huge := modelrt.Signature{Inputs: []modelrt.Port{{Name: "x", DType: modelrt.F32, Shape: []int64{1 << 20, 1 << 20}}}}
	if _, err := fillZeros(nil, huge); !errors.Is(err, modelrt.ErrTensor) || !strings.Contains(err.Error(), "input x") {
		t.Errorf("a huge input: %v", err)
	}
}

// What libp2p calls an error is a warning to the operator of a node, its
// warnings are for those who look closely, the rest for nobody.
func TestNetLog(t *testing.T) {
	for level, want := range map[slog.Level]string{slog.LevelInfo: "ERROR WARN", slog.LevelDebug: "ERROR WARN WARN DEBUG"} {
		var out bytes.Buffer
		h := netLog{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})}
		log := slog.New(h).With(slog.String("logger", "swarm"))
		log.Error("ERROR")
		log.Warn("WARN")
		log.Info("INFO")
		var got []string
		for line := range strings.Lines(out.String()) {
			fields := strings.Fields(line)
			got = append(got, strings.TrimPrefix(fields[2], "msg="), strings.TrimPrefix(fields[1], "level="))
			if !strings.Contains(line, "logger=swarm") {
				t.Errorf("lost its attributes: %s", line)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("at %s: %v, want %s", level, got, want)
		}
	}
}
