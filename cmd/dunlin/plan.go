package main

import (
	"fmt"
	"io"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
)

type planCmd struct {
	Model string `arg:"" help:"Model, with or without a version: acme/vad, acme/vad@6.2.0."`
}

// Help is the second part of `dunlin plan --help`.
func (planCmd) Help() string {
	return `Bytes, link, time, what is left of budgets, and what it waits for. Peers at hand are asked what they have, about a
kilobyte each; a manifest that is not here is fetched, nothing else.

Examples:
  dunlin plan acme/vad
  dunlin plan acme/vad@6.2.0 --json | jq .most_bytes

Exit codes: 0 done, 2 wrong usage, 4 no such release was heard of.`
}

// Run plans.
func (c planCmd) Run(e *env) error {
	m, version, err := splitModel(c.Model)
	if err != nil {
		return err
	}
	var p api.Plan
	if err := e.call("plan", api.ModelRequest{Model: m, Version: version}, &p); err != nil {
		return err
	}
	return e.print(p, func(w io.Writer) { printPlan(w, p, time.Now()) })
}

func printPlan(w io.Writer, p api.Plan, now time.Time) {
	if p.Here {
		fmt.Fprintf(w, "%s@%s is here: nothing is missing\n", p.Model, p.Version)
		return
	}
	link := p.Link
	if p.Class != p.Link {
		link += " (" + p.Class + ")"
	}
	if p.Metered {
		link = "metered " + link
	}
	if !p.Known {
		fmt.Fprintf(w, "%s@%s: its manifest is not here and no peer gave it, so its size is not known\n", p.Model, p.Version)
	} else {
		fmt.Fprintf(w, "%s@%s: %s, over %s at %s (%s)\n", p.Model, p.Version, between(size(p.LeastBytes), size(p.MostBytes)), link, rateText(p.BitsPerSecond), p.Rate)
	}
	for _, f := range p.Files {
		if f.By == api.ByDelta {
			length := "of unknown length"
			if f.DeltaBytes > 0 {
				length = "of " + size(f.DeltaBytes)
			}
			if f.PartBytes > 0 {
				length += ", of which " + size(f.PartBytes) + " are here"
			}
			fmt.Fprintf(w, "  %s  delta to %s %s, for %s\n", plain(f.Path), f.Basis, length, size(f.Bytes))
			continue
		}
		fmt.Fprintf(w, "  %s  in chunks, %s missing of %s; %s\n", plain(f.Path), size(f.MissingBytes), size(f.Bytes), f.Reason)
	}
	fmt.Fprintf(w, "takes    %s\n", between(transferTime(p.LeastSeconds), transferTime(p.MostSeconds)))
	if !p.Begins.IsZero() {
		begins := "now"
		if p.Begins.After(now.Add(time.Minute)) {
			begins = p.Begins.Local().Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "begins   %s, ends by %s\n", begins, p.Ends.Local().Format("2006-01-02 15:04"))
	}
	for _, b := range p.Budgets {
		fmt.Fprintf(w, "budget   %s left of %s for %s; data took %s, control %s\n",
			size(uint64(max(b.LimitBytes-b.SpentBytes, 0))), size(uint64(b.LimitBytes)), b.Of, size(uint64(b.SpentBytes-b.ControlBytes)), size(uint64(b.ControlBytes)))
	}
	for _, text := range p.Waits {
		fmt.Fprintln(w, text)
	}
}

// between writes a range, or the one value.
func between(least, most string) string {
	if least == most {
		return most
	}
	return least + " to " + most
}

type allowCmd struct {
	Model string `arg:"" help:"Model, with or without a version: acme/vad, acme/vad@6.2.0."`
}

// Help is the second part of `dunlin allow --help`.
func (allowCmd) Help() string {
	return `Lets the release, the newest one if no version is given, come in full over metered links; budgets and schedules hold
all the same. The word is forgotten once the release is here.

Examples:
  dunlin plan acme/vad && dunlin allow acme/vad

Exit codes: 0 done, 2 wrong usage, 4 no such release was heard of.`
}

// Run allows.
func (c allowCmd) Run(e *env) error {
	m, version, err := splitModel(c.Model)
	if err != nil {
		return err
	}
	var a api.Allowance
	if err := e.call("allow", api.ModelRequest{Model: m, Version: version}, &a); err != nil {
		return err
	}
	return e.print(a, func(w io.Writer) { fmt.Fprintf(w, "%s@%s may come in full over metered links\n", a.Model, a.Version) })
}
