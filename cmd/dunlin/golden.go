package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/dunlin-mesh/dunlin/node"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/golden"
	"github.com/dunlin-mesh/dunlin/runtime/onnx"
)

type goldenCmd struct {
	Make  goldenMakeCmd  `cmd:"" help:"Run a model and write what comes out as a golden set."`
	Check goldenCheckCmd `cmd:"" help:"Run a golden set on a model."`
}

type goldenMakeCmd struct {
	Path   string  `arg:"" help:"Model file." placeholder:"MODEL.onnx" type:"existingfile"`
	Inputs string  `help:"Folder of inputs: a golden set, INPUT.npy files, or folders of them." placeholder:"DIR" type:"existingdir" xor:"from" required:""`
	Random *uint64 `help:"Make up inputs from this seed instead." placeholder:"SEED" xor:"from" required:""`
	Cases  int     `help:"How many cases to make up, 1 to 1000." default:"3"`
	Out    string  `help:"Folder to make." placeholder:"DIR" type:"path" required:""`
}

// Help is the second part of `dunlin golden make --help`.
func (goldenMakeCmd) Help() string {
	return `Write a golden set in the layout of ONNX's tests: test_data_set_K/input_I.pb and output_I.pb. Ship it with a release:
'dunlin publish --golden DIR'. Every node runs it before the release serves. How near outputs must be is said in a file
golden.json in that folder; without one, floats may differ by the rounding of another machine and nothing else may.

Examples:
  dunlin golden make vad.onnx --random 7 --out golden
  dunlin golden make vad.onnx --inputs recordings --out golden

Exit codes: 0 done, 1 failed, 2 wrong usage.`
}

// Run makes a set.
func (c goldenMakeCmd) Run(e *env) (err error) {
	session, err := loadModel(e, c.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	var cases []map[string]modelrt.Tensor
	if c.Random != nil {
		if c.Cases < 1 || c.Cases > golden.MaxCases {
			return api.Errorf(api.CodeUsage, "%d cases, must be 1 to %d", c.Cases, golden.MaxCases)
		}
		cases, err = golden.Random(session.Signature(), *c.Random, c.Cases)
	} else {
		cases, err = golden.ReadInputs(c.Inputs, session.Signature())
	}
	if err != nil {
		return err
	}
	if err := golden.Write(e, session, cases, nil, c.Out); err != nil {
		return err
	}
	return e.print(map[string]any{"dir": c.Out, "cases": len(cases)}, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d cases\n", c.Out, len(cases))
	})
}

type goldenCheckCmd struct {
	Path   string `arg:"" help:"Model file." placeholder:"MODEL.onnx" type:"existingfile"`
	Golden string `help:"Folder of the golden set." placeholder:"DIR" type:"existingdir" required:""`
}

// Help is the second part of `dunlin golden check --help`.
func (goldenCheckCmd) Help() string {
	return `Examples:
  dunlin golden check vad.onnx --golden golden

Exit codes: 0 all outputs are as expected, 1 failed, 2 wrong usage, 3 they are not, or the set is malformed.`
}

// Run checks a set.
func (c goldenCheckCmd) Run(e *env) (err error) {
	session, err := loadModel(e, c.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	checks, err := golden.Checker{}.Check(e, c.Golden, session)
	if checks != nil {
		err = errors.Join(err, e.print(checks, func(w io.Writer) {
			for _, check := range checks {
				verdict := "ok"
				if !check.OK {
					verdict = "DIFFERS"
				}
				fmt.Fprintf(w, "%-8s %s\n", verdict, golden.Describe(check))
			}
		}))
	}
	if errors.Is(err, modelrt.ErrGolden) {
		return api.Errorf(api.CodeUnverified, "%v", err)
	}
	return err
}

// loadModel loads a model file with the library that the node in the home is
// configured with, if there is one.
func loadModel(e *env, path string) (modelrt.Session, error) {
	config, err := node.LoadConfig(e.dir)
	if err != nil && !errors.Is(err, node.ErrNoHome) {
		return nil, err
	}
	engine, err := onnx.New(onnx.Config{LibraryPath: config.OnnxRuntime})
	if err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	return engine.Load(e, absolute)
}
