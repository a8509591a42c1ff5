package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dunlin-mesh/dunlin/delta"
	"github.com/dunlin-mesh/dunlin/node/api"
)

// model writes a safetensors file of three f32 tensors: a body of 128x96 whose
// weights the number BODY tells, and a head of 64x32 and a bias of 64, which HEAD
// tells.
func model(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: model FILE BODY HEAD")
	}
	type tensor struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header, data := map[string]tensor{}, []byte(nil)
	for _, t := range []struct {
		name  string
		shape []int
		seed  string
	}{{"body.weight", []int{128, 96}, args[1]}, {"head.bias", []int{64}, args[2]}, {"head.weight", []int{64, 32}, args[2]}} {
		seed, err := strconv.ParseUint(t.seed, 10, 64)
		ts.Check(err)
		random := rand.New(rand.NewPCG(seed, uint64(len(t.name))))
		n := 1
		for _, d := range t.shape {
			n *= d
		}
		at := len(data)
		for range n {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(random.NormFloat64()/16)))
		}
		header[t.name] = tensor{"F32", t.shape, [2]int{at, len(data)}}
	}
	text, err := json.Marshal(header)
	ts.Check(err)
	text = append(text, strings.Repeat(" ", (8-len(text)%8)%8)...)
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append(append(file, text...), data...), 0o600))
}

// exits runs a command that must fail with this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if exit, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		code = strconv.Itoa(exit.ExitCode())
	}
	if code != args[0] {
		ts.Fatalf("exit code %s (%v), want %s", code, err, args[0])
	}
}

func TestDeltaErrorsHaveExitCodes(t *testing.T) {
	for code, errs := range map[int][]error{
		3: {delta.ErrBasis, delta.ErrDelta, delta.ErrResult, delta.ErrVersion},
		5: {syscall.ENOSPC, syscall.EDQUOT, &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}},
		1: {os.ErrPermission},
	} {
		for _, err := range errs {
			var said strings.Builder
			if got := report(&said, deltaError(fmt.Errorf("decode x: %w", err))); got != code {
				t.Errorf("%v: exit code %d, want %d (%s)", err, got, code, said.String())
			}
		}
	}
}

func TestRates(t *testing.T) {
	for text, want := range map[string]int64{"2400": 2400, "64k": 64_000, "1.5M": 1_500_000, "10G": 10e9, "1": 1} {
		got, err := parseRates([]string{text})
		if err != nil || got[0] != want {
			t.Errorf("%s: %v, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "k", "-1", "0", "0.2", "NaN", "Inf", "1e13", "64 k", "64kbit", "2T"} {
		got, err := parseRates([]string{text})
		if wire, ok := errors.AsType[*api.Error](err); !ok || wire.Code != api.CodeUsage {
			t.Errorf("%q: %v, %v, want a usage error", text, got, err)
		}
	}
	for rate, want := range map[int64]string{1: "1 bit/s", 64_000: "64 kbit/s", 1_500_000: "1.5 Mbit/s", 1e12: "1 Tbit/s"} {
		if got := rateText(rate); got != want {
			t.Errorf("%d: %s, want %s", rate, got, want)
		}
	}
}

func TestTextForPeople(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{span(40 * time.Millisecond), "40 ms"},
		{span(1500 * time.Millisecond), "1.5 s"},
		{span(61 * time.Second), "1 min 01 s"},
		{span(3*time.Hour + 7*time.Minute), "3 h 07 min"},
		{transferTime(1e9), "11574 days"},
		{percent(1, 0), "-"},
		{percent(1, 8), "12.50 %"},
		{count(1, "part of graph"), "(1 part of graph)"},
		{count(2, "part of graph"), "(2 parts of graph)"},
		{shapeText([]uint64{2, 3}), "2x3"},
		{plain("encoder/größe"), "encoder/größe"},
		{plain("a\x1b[2Jb\n\xff"), `a\x1b[2Jb\n\xff`},
		{name(strings.Repeat("x", 100), true), strings.Repeat("x", 100)},
		{name("head"+strings.Repeat("ü", 100)+"tail", false), "head" + strings.Repeat("ü", 17) + "…" + strings.Repeat("ü", 18) + "tail"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

// Many rows are folded to the dearest ones, and none is lost.
func TestFold(t *testing.T) {
	var rows []int
	for i := range 50 {
		rows = append(rows, (i*37)%50)
	}
	kind := func(v int) int { return max(0, 2-v) } // 0 is of kind 2, 1 of kind 1
	shown, rest := fold(rows, false, kind, func(v int) int64 { return int64(v) })
	if len(shown) != foldedRows || shown[0] != 49 || shown[foldedRows-1] != 49-foldedRows+1 {
		t.Errorf("shown: %v", shown)
	}
	if len(rest[0]) != 48-foldedRows || fmt.Sprint(rest[1:]) != "[[1] [0]]" {
		t.Errorf("not shown: %v", rest)
	}
	if shown, _ := fold(rows, true, kind, nil); len(shown) != len(rows) || shown[1] != 37 {
		t.Errorf("all: %v", shown)
	}
}
