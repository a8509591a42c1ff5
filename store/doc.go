// Package store keeps releases on disk: their files where a runtime maps them,
// and an index that says which chunks are there.
//
// # Words
//
//   - A release's files lie in a folder of their own, each written once, at its
//     place, chunk by chunk. There is no second copy of a chunk anywhere.
//   - A copy is a file on disk that holds chunks of one [manifest.FileID]. It
//     may have several names (hard links) in several releases, and it may lie
//     outside the store ("in place").
//   - The index (Badger, in Dir/index) says which chunks of which copy are
//     there and where a chunk of a given digest lies. It only points; it can be
//     thrown away and made again from the files, see [Rebuild].
//   - A pin is a reason to keep a release; a want is a release that this node
//     means to have. Whatever has neither is a cache and goes when room is
//     needed, least recently used first.
//
// # How it lies on disk
//
//	Dir/lock                                   held while a process has it open
//	Dir/index/                                 Badger
//	Dir/blocks/xx/<cid>                        one file a block
//	Dir/models/<publisher>/<name>/<version>-<last 8 characters of the manifest CID>/
//	    .release                               release, variants, pins
//	    <variant>/<path>                       the files; also .golden/ and .report/
//	Dir/wants/<cid>                            one file a want
//	Dir/staging/, Dir/trash/                   emptied at Open
//
// # How a chunk gets in
//
//	PutChunk:  digest right?  write at its offset into the preallocated file
//	           → pending; wait while pending bytes would exceed CommitBytes
//	commit:    take what is pending; fdatasync each file touched; one index
//	           transaction, synced; only now the chunks are held
//
// So the index never names data that is not on disk, and a crash costs at most
// CommitBytes of chunks that must be fetched again.
//
// # What is promised
//
// Nothing is stored under a digest that it does not have, and nothing is
// returned that was not compared with its digest after it was read. Names from
// manifests never lead out of Dir, whatever links somebody planted there. A
// crash at any instruction leaves a store that opens and loses nothing that
// was durable. Memory is bounded by constants of this package, not by the size
// of releases. All methods of [Store] may be called at the same time.
//
// # What is not
//
// No network, no policy: who is asked for a chunk and what deserves a pin is
// decided elsewhere. No protection against another program that writes into
// Dir beyond finding out; none against a disk that lies about fsync. Only one
// process at a time may have a store open.
package store
