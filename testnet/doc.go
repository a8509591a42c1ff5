// Package testnet runs fleets of real nodes on this machine: separate
// processes of the real binary, each with a home and an identity of its own,
// talking over real sockets on loopback. The demo, the fault tests and the
// benchmarks stand on it.
//
//	fleet, err := testnet.New(binary, dir)
//	a, err := fleet.Add(ctx, "a", "--site", "clinic")     // dunlin init
//	err = a.Start(ctx)                                    // dunlin up, until it answers
//	out, err := a.Run(ctx, "publish", path, "--model", …) // any other command
//	err = a.Kill()                                        // kill -9
//	err = fleet.Close()                                   // stop what still runs
//
// Promised: no process outlives Close, nor (on Linux) the process that made
// the fleet. Not promised: the homes are left where they are, for whoever wants
// to look.
//
// Nothing that production uses imports this package.
package testnet
