// Package fleet lets every node see the whole mesh: each node signs a short
// record of how it is, and nodes that meet bring each other's collections of
// records in step. `dunlin fleet` and `dunlin top` show what has arrived.
//
// # Words
//
// A [Record] says how one node was at one moment: versions and progress of its
// models, health, link use. It is signed with the node's own key, so it may
// come through anybody. Of two records of a node the one of the higher epoch,
// then of the higher sequence, wins; clocks decide nothing. The epoch grows
// with each start of the node and each time it finds that it has forgotten
// something it signed; the sequence grows with each record of an epoch. A
// [Table] is the newest record of each node. The age of a row is counted on
// monotonic clocks: where the record was made, and where it lay on its way.
//
// # How records spread
//
// Two connected nodes run a session of [Protocol] at contact, and again after a
// change, as soon as the link's [Link] allows. Sketch of one side:
//
//	say the digest of the table, and what changed since the last session
//	equal, or equal with what was named:  ask for that, done
//	else compare ranges of the table, 16 parts at a time, down to single rows
//	send what the other side lacks; ask for what is newer there
//
// What came from inside of the site is told at once to peers outside only, as
// all members of a site have contact with each other; a later comparison finds
// what a member missed. So a change costs each pair of nodes one session, and a
// fleet in which nothing changes is silent.
//
// # Promised
//
//   - Equal nodes are done in one round trip and under 200 bytes.
//   - No row is of a record that its node has not signed for this mesh, and none
//     ever goes back to an older one, whatever clocks do, as long as the row is
//     kept.
//   - A node that lost its home but kept its key outgrows its old records as
//     soon as it meets anybody who has them.
//   - All of it is bounded: rows, bytes, sessions, rates. Whoever floods the
//     table with made-up nodes displaces what he brought himself.
//
// # Not promised
//
// A record is the word of the node that signed it: nothing here proves that it
// is true. Whoever passes a record on can lie about its age, keep it to himself,
// or make up nodes. Nothing is decided by records; they are for people to see.
// A row says how a node was at its age, not how it is now.
//
// Only package node imports fleet. The wire format is written down in
// docs/protocol.md.
package fleet
