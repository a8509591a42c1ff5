package main

import (
	"io"

	"github.com/dunlin-mesh/dunlin/node/api"
)

type retryCmd struct {
	Models []string `arg:"" help:"Models, publisher/name."`
}

// Help is the second part of `dunlin retry --help`.
func (retryCmd) Help() string {
	return `Try again what failed for good: a release in quarantine because the node ended three times while loading it, or one
that the engine refused. Remove the cause first (driver, memory, library); 'dunlin status' names it.

Examples:
  dunlin retry acme/vad && dunlin wait acme/vad

Exit codes: 0 done, 2 wrong usage.`
}

// Run forgives failures.
func (c retryCmd) Run(e *env) error {
	var models []api.Model
	if err := e.call("retry", api.RulesRequest{Models: c.Models}, &models); err != nil {
		return err
	}
	return e.print(models, func(w io.Writer) { printModels(w, models) })
}
