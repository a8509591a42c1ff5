// Package trust decides what a node believes: which publishers it has pinned,
// what each of them has signed last, and which releases that makes. It also
// signs, on the publisher's workstation.
//
// # Words
//
//   - A publisher is a TUF repository (https://theupdateframework.github.io/specification/latest/).
//     Its name is a signed field of its root; its [Fingerprint] is the sha256
//     of the bytes of root version 1. A node pins at most one publisher for
//     each name, by the root file or by the fingerprint alone.
//   - A [Head] is a publisher's newest timestamp, what gossip carries. It
//     commits to all the rest: timestamp → hash of snapshot → hashes of the
//     top-level targets and of one delegated role for each model.
//   - An [Update] is the metadata that brings one node from what it holds (its
//     [Have]) to what another holds.
//   - A [Release] is a target in its model's role: "name/version" with the
//     digest and length of the manifest block, a sequence that only grows, and
//     perhaps a least safe sequence, which revokes everything below it.
//   - A [Registry] is a node's memory of all that. A [Signer] holds a
//     publisher's key.
//
// # How the parts are used
//
//	publisher   s := CreatePublisher(dir, "acme", now); s.Sign(request); s.Head(), s.Update(have)
//	node        r := Open(config); r.Pin(root) or r.PinFingerprint("", fp)
//	hear        r.CheckHead(head)    HeadNew → ask the peer for r.Have(fp)'s difference
//	reconcile   other.Update(fp, r.Have(fp)) → bytes → r.Apply(fp, update)
//	use         r.Latest(model), r.Release(model, version)
//
// # Promises
//
//   - Nothing is believed that the pinned root does not vouch for through a
//     chain of signatures, thresholds and versions; go-tuf's trustedmetadata
//     does the checking, behind a decoder of our own that is stricter.
//   - What was believed stays, through any later failure, expiry or attack,
//     and only grows: root, timestamp, snapshot, role versions and sequences.
//     The one exception is TUF's own (§5.3.11): a root that replaces the
//     timestamp or snapshot keys resets those two versions, never sequences.
//   - A version names one manifest for ever. Two signed contents under one
//     number or version are refused and kept as [Evidence].
//   - Apply is all or nothing and durable when it returns; a crash at any
//     instruction leaves the old state or the new one.
//   - Everything is bounded; see the Max constants.
//
// # Not promised
//
// That a publisher shows everybody the same thing: two nodes that never meet,
// directly or through others, cannot notice. That a release is good: that is
// the golden run's business. Freshness without contact: see [Policy]. Memory
// across [Registry.Unpin].
//
// Only gossip, node and the command line import this package. Of this module it
// imports manifest and internal/durable.
package trust
