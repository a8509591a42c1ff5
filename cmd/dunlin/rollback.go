package main

import (
	"io"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

type rollbackCmd struct {
	Model string `arg:"" help:"Model, publisher/name."`
	To    string `help:"Version to go back to, which must be here whole. Default: the one before." placeholder:"VERSION"`
}

// Help is the second part of `dunlin rollback --help`.
func (rollbackCmd) Help() string {
	return `Make an earlier release active again. It is verified and tried first, and no request is lost. What was active is not
activated again by itself: only a newer release takes its place, or 'dunlin retry MODEL'.

Examples:
  dunlin rollback acme/vad
  dunlin rollback acme/vad --to 6.1.0

Exit codes: 0 done, 1 there is nothing to go back to, 2 wrong usage, 3 not verified.`
}

// Run goes back.
func (c rollbackCmd) Run(e *env) error {
	var model api.Model
	if err := e.callLong("rollback", api.ModelRequest{Model: manifest.Model(c.Model), Version: c.To}, &model); err != nil {
		return err
	}
	return e.print(model, func(w io.Writer) { printModels(w, []api.Model{model}) })
}
