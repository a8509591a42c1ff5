// Package gossip spreads what publishers have signed: announcements to
// everybody who listens, and anti-entropy between any two peers that meet.
//
// # Words
//
//   - A head is a publisher's newest signed timestamp, self-authenticating and
//     under 1 kB ([trust.Head]). It says that something is new, not what.
//   - An update is the metadata behind it ([trust.Update]).
//   - The state vector of a node is what it holds of each publisher that it
//     pins: root version, timestamp version, digest of the head.
//   - A session is one reconciliation of two state vectors over one stream.
//
// # What happens
//
//	announce   Announce(head) ─► topic /dunlin/heads/1/<mesh> ─► every node: CheckHead
//	             new ─► forward, learn the update from whoever delivered it
//	             known, old, publisher not pinned ─► drop
//	             forged ─► drop, the deliverer loses score and goes on parole
//	meet       new connection, and now and then ─► stream /dunlin/sync/2
//	             digests equal ─► done: one round trip, under 60 bytes
//	             different ─► ranges of the vector, halved until the publishers that
//	             differ are found ─► each side asks for what it lacks and pins
//	learnt     State.Apply says changed ─► OnChange, and the new head is announced
//	             unless the topic has just brought that very head
//	check      a while after a change ─► a session with each peer that has not
//	             told that head, been told it, or taken the update
//
// What several members of a site are told by peers outside enters it once, as
// far as Config.Site knows the members: the head that comes first is learnt
// from whoever told it, members are told by members, and two that are told at
// the same moment settle who asks outside.
//
// # Promises
//
// Gossip is a hint and the state is the truth (law 2): losing every message of
// the topic costs time and nothing else, because each contact reconciles. A
// node that was away for a year, or that has pinned a publisher by its
// fingerprint and knows nothing else, catches up in its first session with any
// node that knows. Nothing is forwarded that this node has not verified, and
// nothing is asked for or relayed of publishers that this node does not pin.
// Messages, counts, streams, sessions, rates and times are bounded (law 8); a
// peer that sends forged or malformed bytes is put on parole, for longer each
// time, and the state stays as it was.
//
// # Not here
//
// No disk, no chunk bytes, no keys, no discovery of peers: the state, the
// transfer and the host belong to others. There is no delivery guarantee, no
// order between publishers, and no promise on how soon a partitioned node hears
// of anything before it meets a peer.
//
// The wire formats are written down in docs/protocol.md.
package gossip
