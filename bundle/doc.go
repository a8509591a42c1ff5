// Package bundle writes releases into a file, for a USB stick or whoever drives
// by, and reads such a file as the message of a stranger that it is.
//
// # Words
//
//   - A bundle is a CAR file, version 1 (https://ipld.io/specs/transport/car/carv1/),
//     with one root. Any tool that knows CAR files lists and verifies its
//     blocks; none is longer than [manifest.MaxBlockBytes].
//   - The [Root] block describes the rest: signed metadata of publishers, and
//     [Release] by release which files come and how. A [File] comes as chunks
//     (raw blocks whose CID is the chunk's digest), as a delta (raw blocks of
//     at most [MaxPieceBytes]) against a file that the destination holds, or
//     not at all, since the destination can put it together.
//   - A section is a block in the file, with its length and its CID.
//   - A full bundle has everything that a node with nothing needs. One made for
//     a [State], what a site said that it holds, leaves out what is there.
//
// # Order
//
// The order of sections follows from the root; a reader knows what comes next
// and needs neither an index nor a second pass:
//
//	header: version 1, the root's CID
//	root
//	each publisher:  the pieces of its metadata
//	each release:    its manifest, then of each file the layout and the digest
//	                 tree, parents first, each block once, but for those that
//	                 the destination holds
//	                 of each file its chunks in order, equal ones once; or the
//	                 pieces of its delta
//	end of file
//
// # Use
//
//	summary, err := bundle.Export(ctx, config, w)
//
//	r, err := bundle.Open(file)
//	r.Root()                             // what it claims to bring
//	update, err := r.Update(i)           // of each publisher: verify it
//	m, err := r.Blocks(ctx, i, store)    // of a release that is signed and wanted,
//	report, err := r.File(ctx, i, k, …)  // file by file; or r.Skip
//	err = r.End()
//
// # Promises
//
// Reading holds one block in memory, and 32 bytes a chunk of the file at work
// with about as much to find equal chunks. Every block is compared with its CID
// before anything is made of it; lengths are bounded before anything is
// allocated. A section that is not the one to come, or is longer than what comes
// there may be, ends the reading with [ErrMalformed]: loops, doubles, foreign
// roots and lying lists have no way in. What was stored before an error is what
// its publisher signed, and a second import of the same file skips over it.
//
// # Not here
//
// No signatures: whoever imports passes metadata to package trust, and releases
// that are not signed are not read on. No secrecy: whoever finds the stick reads
// it. No policy: node decides which releases to take.
//
// Only node and the command line import this package.
package bundle
