// Package health decides whether a release may be made active here, given what
// the flock says of it. It is arithmetic: no network, no clock, no disk.
//
// Nobody leads a rollout. Each node works out its own place from a hash of
// itself and the release, among the nodes it knows that run the same model on
// hardware of the same class (see profile.Profile.Class). The first wave is a
// tenth of them and at least a quorum, the second takes it to a third, the
// third is all. A wave goes once half of the nodes before it have said that the
// release works, or when its time has come and nothing bad was heard: a node
// that hears nobody is delayed, never stopped.
//
// Only failures of content count: the release was refused, crashed, failed its
// golden set or its soak on a machine that meets its requirements. What fails
// because this machine lacks something is its own affair. A release is held back
// on a class as long as a quorum of that class says it is bad and no more say it
// is good. That never touches what serves, and the operator of a node can set
// it aside; so can the publisher, see manifest.Manifest.
//
// # Promised
//
// Two nodes that know the same flock agree on every place. A node's place does
// not change when others come, but by those that come before it. With the same
// reports a later look never takes back a verdict to go because of time alone.
//
// # Not promised
//
// Reports are signed by nodes, not by anybody who is trusted: strangers who
// join a mesh in numbers can hold a release back, and cannot make one active.
// Nodes that know different parts of the flock have different waves; then more
// may go in the first one.
package health
