package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
)

type fleetCmd struct {
	Model string `help:"Only nodes that have to do with this model." placeholder:"MODEL"`
}

// Help is the second part of `dunlin fleet --help`.
func (fleetCmd) Help() string {
	return `Shows every node of the mesh that this node has heard of: what each one signed about itself, and how long ago. One
line for each node and model. Works without the network, too, with what was known last.

Examples:
  dunlin fleet
  dunlin fleet --model acme/vad
  dunlin fleet --json | jq -r '.[] | select(.age_seconds > 86400) | .peer_id'

Exit codes: 0 done, 2 wrong usage.`
}

// Run shows the fleet.
func (c fleetCmd) Run(e *env) error {
	nodes, err := fleetNodes(e, c.Model)
	if err != nil {
		return err
	}
	return e.print(nodes, func(w io.Writer) { printFleet(w, nodes) })
}

// fleetNodes asks for the fleet, or for the part of it that has to do with a
// model.
func fleetNodes(e *env, model string) ([]api.FleetNode, error) {
	if model != "" {
		if _, err := manifest.ParseModel(model); err != nil {
			return nil, api.Errorf(api.CodeUsage, "%v", err)
		}
	}
	nodes := []api.FleetNode{}
	if err := e.call("fleet", nil, &nodes); err != nil {
		return nil, err
	}
	return onlyModel(nodes, model), nil
}

// onlyModel leaves out all other models, and nodes that have none left.
func onlyModel(nodes []api.FleetNode, model string) []api.FleetNode {
	if model == "" {
		return nodes
	}
	out := []api.FleetNode{}
	for _, n := range nodes {
		n.Models = slices.DeleteFunc(slices.Clone(n.Models), func(m api.FleetModel) bool { return string(m.Model) != model })
		if len(n.Models) > 0 {
			out = append(out, n)
		}
	}
	return out
}

func printFleet(w io.Writer, nodes []api.FleetNode) {
	t := newTable(w, fleetHeading()...)
	for _, line := range fleetLines(nodes) {
		t.row(line.cells()...)
	}
	t.flush()
	fmt.Fprintln(w, fleetSummary(nodes))
}

func fleetHeading() []string {
	return []string{"SITE", "NODE", "MODEL", "HELD", "WANTED", "ACTIVE", "STATE", "OUTSIDE IN/OUT", "INSIDE IN/OUT", "FREE", "AGE", "NOTE"}
}

// fleetLine is one model of one node; a node without any has one line, too.
type fleetLine struct {
	node  api.FleetNode
	model api.FleetModel
}

func fleetLines(nodes []api.FleetNode) []fleetLine {
	var lines []fleetLine
	for _, n := range nodes {
		if len(n.Models) == 0 {
			lines = append(lines, fleetLine{node: n})
		}
		for _, m := range n.Models {
			lines = append(lines, fleetLine{n, m})
		}
	}
	return lines
}

func (l fleetLine) cells() []any {
	n, m := l.node, l.model
	active, state, note := m.Active, string(m.State), m.Reason
	if active != "" && !m.Serving {
		active += " (not loaded)"
	}
	if m.State == api.StateFetching {
		state = fmt.Sprintf("%s %d%%", state, int(100*m.Progress))
	}
	if n.Omitted > 0 {
		note = strings.TrimSpace(fmt.Sprintf("%s and %d models more", note, n.Omitted))
	}
	return []any{
		n.Site, shortNode(n), m.Model, m.Held, m.Wanted, active, state,
		traffic(n.Links.OutsideIn, n.Links.OutsideOut), traffic(n.Links.InsideIn, n.Links.InsideOut), size(n.DiskFreeBytes), age(n.AgeSeconds), note,
	}
}

// shortNode names a node by the end of its peer ID: '*' marks this node, '+'
// those that are connected to it.
func shortNode(n api.FleetNode) string {
	id := n.PeerID[max(0, len(n.PeerID)-8):]
	switch {
	case n.Self:
		return id + "*"
	case n.Connected:
		return id + "+"
	}
	return id
}

func traffic(in, out uint64) string { return size(in) + "/" + size(out) }

// age writes how long ago something was for people: one unit is enough.
func age(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

// fleetSummary counts nodes, sites and where models stand.
func fleetSummary(nodes []api.FleetNode) string {
	sites, states := make(map[string]bool), make(map[api.State]int)
	for _, n := range nodes {
		sites[n.Site] = true
		for _, m := range n.Models {
			states[m.State]++
		}
	}
	parts := []string{fmt.Sprintf("%s at %s", plural(len(nodes), "node"), plural(len(sites), "site"))}
	var order []api.State
	for s := range states {
		order = append(order, s)
	}
	slices.SortFunc(order, func(a, b api.State) int { return cmp.Or(states[b]-states[a], cmp.Compare(a, b)) })
	for _, s := range order {
		parts = append(parts, fmt.Sprintf("%d %s", states[s], s))
	}
	return strings.Join(parts, ", ")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
