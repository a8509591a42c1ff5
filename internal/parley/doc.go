// Package parley holds what protocols share in which two peers bring each
// other up to date, session by session, as package gossip does with publishers
// and package fleet with node records: who of the connected peers speaks, who
// may begin a session, how a stream is read, packed and waited for, and how
// ranges of keys are told apart.
//
//	a := &parley.Acquaintances{Host: h, Protocol: id, Arrived: …, Left: …}
//	events, err := a.Watch("dunlin/fleet")   // before anything may be missed
//	err = a.Follow(ctx, events)              // until ctx ends
//
// What is said in a session, when one is due, and what a peer that misbehaves
// has to bear differ, and stay with the protocols.
package parley
