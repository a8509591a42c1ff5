package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/dunlin-mesh/dunlin/node/api"
)

type linkCmd struct {
	Ls  linkLsCmd  `cmd:"" help:"List links, what passed and what is left."`
	Set linkSetCmd `cmd:"" help:"Make or change a link."`
	Rm  linkRmCmd  `cmd:"" help:"Take a link away."`
}

type linkLsCmd struct{}

// Help is the second part of `dunlin link ls --help`.
func (linkLsCmd) Help() string {
	return `Bytes are on the wire, up and down together, with headers as an estimate. CONTROL is what of the month's was no data:
announcements, sync, fleet, addresses, greetings, connections.

Examples:
  dunlin link ls
  dunlin link ls --json | jq '.[] | select(.name=="sat") | .month.spent_bytes'

Exit codes: 0 done, 2 no home there.`
}

// Run lists links.
func (linkLsCmd) Run(e *env) error {
	var list []api.Link
	if err := e.call("links", nil, &list); err != nil {
		return err
	}
	return printLinks(e, list, list)
}

type linkSetCmd struct {
	Name     string   `arg:"" help:"Name of the link; 'default' takes what no other one does."`
	Settings []string `arg:"" help:"Settings, key=value; 'none' unsets one." placeholder:"KEY=VALUE"`
}

// Help is the second part of `dunlin link set --help`.
func (linkSetCmd) Help() string {
	return `A running node follows at once. Keys:
  match=10.8.0.0/16,2001:db8::/32   prefixes of the remote address; the longest that matches wins
  local=wwan0,10.8.0.2              interfaces or addresses of this machine
  class=satellite                   lan, wan, narrow or satellite
  up=64kbit down=1.5Mbit            rates
  schedule='22:00-06:00;sat,sun 00:00-24:00'   open only then, by the local clock
  day=20MB month=500MB              budgets, up and down together
  metered=yes                       ask before a large download in full (dunlin allow)
  full_limit=16MiB                  what may come in full unasked

Examples:
  dunlin link set sat local=wwan0 class=satellite up=64kbit down=256kbit month=500MB metered=yes
  dunlin link set default schedule=22:00-06:00

Exit codes: 0 done, 2 wrong usage.`
}

// Run changes a link.
func (c linkSetCmd) Run(e *env) error {
	var l api.Link
	if err := e.call("link/set", api.LinkRequest{Name: c.Name, Settings: c.Settings}, &l); err != nil {
		return err
	}
	return printLinks(e, l, []api.Link{l})
}

type linkRmCmd struct {
	Name string `arg:"" help:"Name of the link."`
}

// Help is the second part of `dunlin link rm --help`.
func (linkRmCmd) Help() string {
	return `What the link carried stays written down: set anew, it has no more budget than before.

Examples:
  dunlin link rm sat

Exit codes: 0 done, 2 no such link.`
}

// Run takes a link away.
func (c linkRmCmd) Run(e *env) error {
	var list []api.Link
	if err := e.call("link/rm", api.LinkRequest{Name: c.Name}, &list); err != nil {
		return err
	}
	return printLinks(e, list, list)
}

func printLinks(e *env, answer any, list []api.Link) error {
	return e.print(answer, func(w io.Writer) {
		t := newTable(w, "LINK", "TAKES", "CLASS", "UP", "DOWN", "DAY", "MONTH", "CONTROL", "NOTE")
		for _, l := range list {
			takes := strings.Join(append(l.Match, l.Local...), " ")
			if takes == "" {
				takes = "the rest"
			}
			var notes []string
			if l.Metered {
				notes = append(notes, "metered")
			}
			if l.FullLimit > 0 {
				notes = append(notes, "in full up to "+size(uint64(l.FullLimit)))
			}
			notes = append(notes, l.Schedule...)
			if l.Reason != "" {
				notes = append(notes, l.Reason+", sync, fleet and addresses too")
			}
			for _, b := range []api.Budget{l.Day, l.Month} {
				if over := b.SpentBytes - b.LimitBytes; b.LimitBytes > 0 && over > 0 {
					notes = append(notes, fmt.Sprintf("%s over the budget of %s", size(uint64(over)), b.Of))
				}
			}
			t.row(l.Name, takes, l.Class, bits(l.UpBits), bits(l.DownBits), spent(l.Day), spent(l.Month), size(uint64(l.Month.ControlBytes)), strings.Join(notes, "; "))
		}
		t.flush()
	})
}

// bits writes a rate, which may be none.
func bits(rate int64) string {
	if rate == 0 {
		return "-"
	}
	return rateText(rate)
}

// spent writes how much of a budget is spent.
func spent(b api.Budget) string {
	if b.LimitBytes == 0 {
		return size(uint64(b.SpentBytes))
	}
	return fmt.Sprintf("%s of %s", size(uint64(b.SpentBytes)), size(uint64(b.LimitBytes)))
}
