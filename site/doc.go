// Package site knows which peers are near, and has them share the way to the
// outside: who keeps contact with it, and whose turn it is to fetch a release
// from there, so that each byte enters a site once (law 3).
//
// # Words
//
//   - A site is the nodes that reach each other without crossing an expensive
//     link; its members are those of them that talk to each other over
//     [ProtocolID]. Everything else is outside.
//   - A gateway is a member that keeps contact with the outside.
//   - An errand is a release that a node is getting; its turn says whether the
//     node may ask the outside, and with whom it shares what is to be fetched.
//
// # Use
//
//	s, err := site.New(site.Config{Host: host, Label: "ship-7"})
//	err = s.Run(ctx)                       // until ctx ends
//	if s.Local(conn) { … }                 // inside the site?
//	e := s.Join(release)
//	for turn, changed := e.Turn(); …; {    // fetch as told, until changed is closed
//		e.Came(bytesFromOutside, bytesMissing)
//	}
//	e.Leave()
//
// # Who is a member
//
// Labels decide where both ends have one: equal is in, different is out. Else a
// peer is in if it is on this machine, link-local or on a subnet of this machine
// ([Site.Local]), unless the shortest of three round trips takes over 30 ms: a
// bridge over a satellite looks like a local network in every other way. A short
// round trip alone makes nobody a member.
//
// # How turns are given
//
// Members tell each other what they do, whole, at each change, and each works
// out from that the same answer. There is no leader and nothing to elect one.
//
//	alone                                  the turn is ours
//	who fetches, and bytes come            keeps the turn
//	a place is free                        the member of the highest rendezvous
//	                                       weight takes it, of those in contact
//	                                       with the outside
//	nothing comes for a lease              the turn is over; the next one takes it
//	nobody takes it for k leases           the k-th in line does
//	nothing reaches us for a few leases,   we fetch for ourselves, whatever the
//	though others claim to fetch           others claim
//
// There is one place, and a second one where 4 MiB or more are missing. Who has
// just joined listens for 150 ms first. Who takes a place at the same moment as
// somebody else gives way, unless it is the one to which something came.
//
// # Promises
//
// A member that joined is fed or has the turn within a bounded number of leases,
// whatever other members do, say or fail to do, if anybody can reach the outside
// at all. Members that come, go, hang or lie cost time, never correctness: this
// package moves no bytes of a release, and who asks twice has asked twice.
// Messages, members, errands and rates are bounded (law 8). Nothing is sent when
// nothing changes; a change costs one message to each member.
//
// # Not here
//
// No discovery and no dialling, no chunks, no budgets. Members vouch for
// nothing: whoever reaches this node and shows its label is a member. A member
// whose machine loses power is gone when its connection is, which the keep-alive
// of the host decides; a lease is over sooner.
//
// The wire format is written down in docs/protocol.md.
package site
