package main

import (
	"fmt"
	"io"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/runtime/variant"
)

type whyCmd struct {
	Model string `arg:"" help:"Model, with or without a version: acme/ocr, acme/ocr@2.0."`
}

// Help is the second part of `dunlin why --help`.
func (whyCmd) Help() string {
	return `Shows how this node chooses among the variants of a release: each with its requirements, the memory that loading it
takes, how long a run takes (measured here, or estimated, marked with ~), what is missing of it, and why it is not the
one. A manifest that is not here is fetched, nothing else.

Examples:
  dunlin why acme/ocr
  dunlin why acme/ocr@2.0 --json | jq .decision.chosen

Exit codes: 0 done, 2 wrong usage, 4 no such release was heard of, or nobody at hand has its manifest.`
}

// Run explains.
func (c whyCmd) Run(e *env) error {
	m, version, err := splitModel(c.Model)
	if err != nil {
		return err
	}
	var y api.Why
	if err := e.call("why", api.ModelRequest{Model: m, Version: version}, &y); err != nil {
		return err
	}
	return e.print(y, func(w io.Writer) { printWhy(w, y) })
}

func printWhy(w io.Writer, y api.Why) {
	d := y.Decision
	if d.Chosen == "" {
		fmt.Fprintf(w, "%s@%s: %s\n\n", y.Model, y.Version, d.Reason)
	} else {
		fmt.Fprintf(w, "%s@%s: variant %s on %s: %s\n\n", y.Model, y.Version, plain(d.Chosen), d.Provider, d.Reason)
	}
	t := newTable(w, "RANK", "VARIANT", "PRECISION", "PROVIDER", "MEMORY", "RUN", "SIZE", "MISSING", "WHY NOT")
	for _, r := range d.Variants {
		rank := "out"
		if r.Rank > 0 {
			rank = fmt.Sprint(r.Rank)
		}
		memory := size(r.Memory.NeedBytes)
		if !r.Memory.Declared {
			memory = "~" + memory
		}
		t.row(rank, plain(r.Name), plain(r.Precision), string(r.Provider), memory, runTime(r), size(r.SizeBytes), size(r.MissingBytes), plain(r.Reason))
	}
	t.flush()
	fmt.Fprintln(w)
	for _, r := range d.Variants {
		for _, c := range r.Checks {
			met := "met"
			if !c.Met {
				met = "not met: " + c.Reason
			}
			fmt.Fprintf(w, "%s requires %s %s: %s\n", plain(r.Name), c.What, plain(c.Want), plain(met))
		}
	}
	if s := y.Serving; s != nil {
		fmt.Fprintf(w, "serving %s, variant %s, since %s\n", plain(s.Version), plain(s.Variant), s.Since.Local().Format("2006-01-02 15:04"))
	} else {
		fmt.Fprintln(w, "serving nothing")
	}
	if y.Note != "" {
		fmt.Fprintln(w, plain(y.Note))
	}
}

// runTime writes how long a run takes: measured, estimated, or only against
// float32 on the CPU.
func runTime(r variant.Row) string {
	took := time.Duration(r.Seconds * float64(time.Second))
	switch {
	case r.Rank == 0:
		return "-"
	case r.Measured:
		return took.Round(time.Microsecond).String()
	case took > 0:
		return "~" + took.Round(time.Microsecond).String()
	}
	return fmt.Sprintf("~%.2f of f32", r.Cost)
}
