package main

import "github.com/dunlin-mesh/dunlin/testnet/lab"

// benchCase is one row of the report: an update in a lab, or an hour of
// nothing.
type benchCase struct {
	name         string
	what         string
	work         string // name of the workload
	sites, nodes int    // besides the publisher
	rate         lab.Rate
	preset       string // of dunlin's nodes
	kind         kind
	tools        bool // also for the other systems
	target       target
	baseline     string // name of the case without faults
}

// kind says what is done with a case.
type kind int

const (
	oneUpdate  kind = iota
	nothing         // happens; counted is what crosses the uplinks all the same
	darkSite        // an update while the last site is dark
	theCourier      // an update for a last site that only a courier reaches
)

// target is what dunlin must reach, as multiples of the ideal; 0 for none.
type target struct {
	Bytes float64 `json:"bytes,omitempty"`
	Time  float64 `json:"time,omitempty"`
	Idle  float64 `json:"idle,omitempty"`  // bytes per node and minute
	Fault float64 `json:"fault,omitempty"` // of time and bytes, to the same without faults
}

var cases = []benchCase{
	{name: "cold", tools: true, what: "cold copy", work: "cold", sites: 3, nodes: 3, rate: lab.Mbit, preset: "wan", target: target{Bytes: 0.97, Time: 1.25}},
	{name: "tail", tools: true, what: "last 5 % changed", work: "tail", sites: 3, nodes: 3, rate: lab.Mbit, preset: "wan", target: target{Bytes: 1, Time: 1.6}},
	{name: "sparse", tools: true, what: "1 % of f32 weights changed", work: "sparse", sites: 3, nodes: 3, rate: lab.Mbit, preset: "wan", target: target{Bytes: 1, Time: 5}},
	{name: "int8", tools: true, what: "int8, 3 % of weights ± 1", work: "int8", sites: 3, nodes: 3, rate: lab.Mbit, preset: "wan", target: target{Bytes: 0.55, Time: 1.2}},
	{name: "idle", tools: true, what: "nothing happens", work: "tail", sites: 3, nodes: 3, rate: lab.Mbit, preset: "wan", kind: nothing, target: target{Idle: 600}},
	{name: "wide-tail", tools: true, what: "4 sites × 5 nodes, last 5 % changed", work: "tail", sites: 4, nodes: 5, rate: lab.Mbit, preset: "wan", target: target{Bytes: 1.05, Time: 1.8}},
	{name: "crowd", what: "30 nodes at one site, cold copy", work: "cold", sites: 1, nodes: 30, rate: lab.Mbit, preset: "wan", target: target{Bytes: 0.97, Time: 1.25}},
	{name: "narrow", what: "4 sites × 5 nodes at 64 kbit/s, 2 MB", work: "fifth", sites: 4, nodes: 5, rate: 64 * lab.Kbit, preset: "narrow"},
	{name: "dark", what: "the same, one site dark at first", work: "fifth", sites: 4, nodes: 5, rate: 64 * lab.Kbit, preset: "narrow", kind: darkSite, baseline: "narrow", target: target{Fault: 1.1}},
	{name: "courier", what: "the same, one site that only a courier reaches", work: "fifth", sites: 4, nodes: 5, rate: 64 * lab.Kbit, preset: "narrow", kind: theCourier, baseline: "narrow", target: target{Fault: 1.1}},
}
