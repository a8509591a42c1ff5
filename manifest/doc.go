// Package manifest holds the nouns of Dunlin: what a release consists of, and
// how that is written down so that every machine derives the same bytes.
//
// # Words
//
//   - A [CID] names a block by its content: CIDv1, sha2-256, dag-cbor for
//     structured blocks and raw for the rest. A [Digest] is a bare sha2-256.
//   - A [Model] is "publisher/name", the thing that gets versions.
//   - A [Manifest] is a release's content: variants, each with its files.
//   - A [File] names its [Layout] (where the tensors lie and so where chunks
//     begin) and its digests (one [Digest] a chunk, kept as a tree of blocks,
//     see [BuildDigests]). [FileID] is the pair of both: two files with the
//     same FileID have the same bytes cut at the same places.
//   - A chunk is a run of bytes of a file, the unit of addressing, verifying
//     and resuming; [Layout.Chunks] says where each one lies.
//   - [Ranges] is a set of chunk indices.
//
// # Promises
//
// Encoding is canonical dag-cbor (https://ipld.io/specs/codecs/dag-cbor/spec/):
// [Encode] of equal values yields equal bytes on every architecture, and
// [Decode] accepts nothing that does not re-encode byte for byte. Sizes,
// counts, depths and paths are bounded before anything is allocated for them;
// whatever Decode returns has passed Validate.
//
// # Not here
//
// No I/O, no clock, no network, no keys. Any package may import this one; it
// imports only the standard library, go-cid and a CBOR codec.
package manifest
