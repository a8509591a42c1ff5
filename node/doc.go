// Package node makes a Dunlin node out of the other packages: a home folder, an
// identity, a libp2p host, the wiring, the local API and metrics. It contains
// no algorithm and no wire format of the mesh.
//
// # Use
//
//	id, err := node.Init(dir, node.DefaultConfig())   // once
//	n, err := node.Open(node.Options{Dir: dir, Engine: engine, Prober: prober})
//	err = n.Run(ctx)                                  // on the network until ctx ends
//	err = n.Close()
//
// [Node.Handler] answers the calls of package api from Open to Close, so a
// command line can work on a home without running a node in it.
//
// # What a node does by itself
//
// It hears of releases (package gossip), and for each model that the operator
// follows or carries it obtains the newest release (see keepWanted):
// manifest, layouts and digests, then chunks (package transfer) into place
// (package store); then the whole file is checked and, for a followed model
// that can run, loaded in a child process, loaded here, and switched to
// (package runtime). What it holds it serves to every peer that asks.
//
// # Home
//
//	config.json    what the operator decides, see Config
//	node.key       the node's identity; no publisher's key
//	follow.json    what to follow and carry
//	peers.json     addresses remembered across restarts
//	store/         releases and their index
//	trust/         what is believed of publishers; only ever grows
//	publishers/    keys of publishers created here
//	links.json     what links carried by day and month
//	allowed.json   releases that may come in full over metered links
//	runtime/       which release of each model is active
//	api.sock       the local API, while a process works here
//
// # Promises
//
// One process at a time works in a home. A crash at any instruction leaves a
// home that Open understands. Cancelling Run loses nothing that arrived.
//
// Imported by cmd/dunlin and testnet only.
package node
