// Package lab builds a small internet out of network namespaces on one Linux
// machine: sites of nodes behind slow uplinks, to measure what crosses those
// uplinks. Tests and benchmarks use it; nothing that production uses does.
//
//	l, err := lab.New(ctx, lab.Config{Sites: []lab.Site{
//		{Nodes: 1, Up: lab.Mbit, Down: lab.Mbit}, // the publisher
//		{Nodes: 3, Up: lab.Mbit, Down: lab.Mbit},
//	}})
//	command := append(l.Node(1, 0).Exec(), "dunlin", "up") // runs in that place
//	before, err := l.Counters()
//	err = l.Cut(ctx, 1)                                    // and Restore
//	err = l.Close()
//
// # Shape
//
//	site 1: subnet 10.11.0.0/24         core
//	 node ─┐                        ┌──────────┐
//	 node ─┼─ lan ─ router ─ uplink ┤ forwards ├ uplink ─ router ─ … site 2
//	 node ─┘                        └──────────┘
//
// Each node, each router and the core is a namespace of its own, joined by veth
// pairs. Both ends of an uplink are shaped by a token bucket (tc-tbf(8)): the
// router's end is the site's rate up, the core's end its rate down, Ethernet
// headers included, behind a queue of 400 ms or 16 frames. LANs are not shaped. A
// multicast stays on its LAN. TCP over uplinks is cubic's: bbr, where a kernel has
// it for default, would go on at the speed that it knew before a rate was set.
//
// # What is promised
//
// Counters are exact: every interface sends packets as they are on a wire
// (segmentation offload is off), neighbours on uplinks are entered by hand (no
// ARP), and IPv6 is off (no router solicitations), so that an uplink is silent
// when the nodes are. [Lab.Cut] loses packets without a word, as a broken cable
// far away does: no interface goes down and nobody is told.
//
// No namespace outlives Close, nor a process in one. What a killed run left
// behind is removed by the next New.
//
// # What is not
//
// There is no delay and no loss but that of full queues: sched_netem is missing
// in too many kernels to rely on. It needs root, Linux, and ip and tc of
// iproute2; [Available] says what is missing.
package lab
