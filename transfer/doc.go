// Package transfer moves blocks and chunks between peers: the protocol
// /dunlin/transfer/2, its client and its server.
//
// # Use
//
//	t, err := transfer.New(transfer.Config{Host: host, Store: store})
//	go t.Run(ctx)                          // serves; owned by the caller
//	e := t.Join(c)                            // tell the site; e.Leave() at the end
//	err = t.Blocks(ctx, e, []manifest.CID{c}) // the manifest of a verified release
//	err = t.Trees(ctx, e, files)              // layouts and digest trees
//	store.Begin(…)
//	err = t.Fetch(ctx, transfer.Job{Release: c, Files: files, Errand: e})
//
// All calls wait for peers as long as ctx lets them; peers may come and go. The
// caller says what is wanted and has checked its signature; from there on
// nothing is believed: each block is checked against its CID before the store
// sees it, and each chunk against its digest by the store, before it counts as
// held.
//
// # Goals
//
//   - What is held is never asked for; what arrived is never asked for again.
//     The store says what is held, so this survives a restart.
//   - From any number of peers that hold parts, each byte comes once. Fetchers
//     trade, so that a seed sends little more than one copy.
//   - A site of any size takes each byte once from outside, and sites trade.
//   - A link of any bandwidth and delay is kept full, and not more is asked of
//     a peer than that takes.
//   - A peer that lies, stalls, floods or vanishes costs its own share of time
//     and memory, and nobody else's.
//   - Small where little is to do: opening a session and refusing or answering
//     one question takes a few hundred bytes.
//
// # Not goals
//
// Finding peers, choosing what to fetch, topics and signatures belong to other
// packages; so does who is near and whose turn it is ([Site]), and what a link
// may carry ([Paths]). The streams of libp2p
// already encrypt, authenticate and multiplex.
//
// # Deltas
//
// A file of which another version is held need not come as chunks. Between
// Trees and Fetch,
//
//	_, err = t.Delta(ctx, transfer.DeltaJob{Release: c, File: f, Bases: held})
//
// gets it as a delta, by a protocol of its own, /dunlin/delta/2, or says in a
// *[NoDeltaError] why not; Fetch then gets what is missing. How a delta is
// coded is none of this package's business: [DeltaCoder] and
// [DeltaConfig].Open are given. The messages are in docs/protocol.md;
//
//	client   deltafetch.go   one file: rounds, until it is complete or hopeless
//	         deltacourt.go   a round: ask several peers, choose one
//	         deltatake.go    take what it sends, decode it meanwhile
//	         deltachain.go   go where it is passed on
//	         deltasession.go the client's end of a stream
//	         deltawriter.go  cut what is decoded into chunks, store them
//	server   deltaserve.go   answer, wait with the client, send
//	         deltaverdict.go what there is to offer
//	         deltacode.go    code once for all who ask, within each peer's ration
//	both     deltacache.go   complete deltas and parts of others, on disk
//	         deltagrowth.go  one of them: written by one, read by many meanwhile
//	         deltaread.go    the reading of it
//
// What came of a delta survives a cut and kill -9, and all but the last second
// or two a power cut. A delta that proves wrong costs its sender a parole, and
// nothing of it is stored. Memory: a chunk and 64 KiB for each file fetched so,
// 128 KiB for each session served, and what the coder takes.
//
// # Versions
//
// Messages are closed: a key that is not in the list below, or a hello of
// another version, is a breach. Whatever a speaker of a version could not read
// gets another protocol ID, and libp2p finds out when it opens a stream which
// ones the peer speaks.
//
// # Messages
//
// A session is one stream, opened by the peer that asks: one for each release
// and peer, and short ones for blocks. Both sides write messages: a uvarint
// length and a canonical dag-cbor map with a single key,
//
//	hello    {version, link, max_frame}  first message of both sides; neither waits for the other's;
//	                                     version is 2
//	want     {blocks: [CID…]}            client: send these blocks
//	block    [bytes]                     server: answers the next CID wanted; a frame of so many
//	                                     bytes follows, none if the block is not held
//	open     {release, files: [FileID…]} client: files of this session, numbered from 0 up
//	have     [file, ranges]              server: holds these chunks too; once after open, then as they arrive
//	coming   [file, ranges, bytes]       server: has asked others for these, see claims.go
//	request  [file, ranges]              client: send these chunks
//	resume   [file, chunk, bytes, sum]   client: the frame asked for next is here up to there
//	frame    [file, chunk, bytes, from]  server: so many bytes of a frame follow
//	cancel   [file, ranges]              client: do not send these any more
//	fault    {code, file, chunks, retry, text}  server: refuses the chunks, or without chunks the session
//
// where ranges are [[from, to]…], to excluded. Codes: busy (come back after
// retry seconds), not_held and corrupt (ask others for these chunks), gone (open
// a new session if need be), malformed (you broke the protocol).
//
// A server answers in order: wants and requests one after the other, chunks in
// the order of the request; each chunk asked for yields one frame or one fault,
// or nothing if a cancel overtook it. So a client knows what must come next, and
// anything else is a breach. A session may be closed by either side at any time
// and means nothing: what arrived, arrived.
//
// Bounds: a message has 64 KiB, a want 256 CIDs, a session 4096 files, a set of
// ranges 4096 spans, a frame the length of its chunk and a header; 1024 chunks
// and blocks may be asked for and not answered yet.
//
// # Client
//
//	for each peer that is connected, speaks the protocol and is not on parole:
//	    hello, open; on have: note who holds what
//	    while something is missing:
//	        while less is asked of it than twice its bandwidth × delay (64 KiB or
//	        256 KiB at least, its part of the memory at most), request the chunks,
//	        of those that are missing and asked of nobody,
//	            that fewest peers hold;
//	            among equals, if it is a seed: those in the own share;
//	            then in order from where this session left off
//	        leave to partial holders what they hold, if they keep up with the seed
//	        nothing left to ask: ask for a chunk of a peer that has stalled (at
//	        most 16 at once); who delivers first wins, the other gets a cancel
//	    on frame: decode, store; the store compares the digest
//	    on bad bytes or a breach: drop the session, parole (doubling up to a day)
//	    without progress (4 KiB) for too long: the same, for a shorter time
//	    session over, for whatever reason: its chunks are free again
//
// The share: rendezvous hashing over the fetchers that are seen to hold a part;
// see share.go. A store that does not take a chunk ends the whole fetch.
//
// # Server
//
//	busy beyond MaxSessions or MaxSessionsPerPeer; idle sessions give way
//	one goroutine reads messages into the queue, another answers:
//	    take memory from the peer's share (a quarter) and from the whole, in turn
//	    read the chunk (the store verifies it), encode as the link deserves, write
//	have-updates in batches of 5 ms (lan) to 5 s (satellite)
//	a message not complete within 30 s, 64 KiB not taken within 20 s to 2 min,
//	or nothing asked for within 10 min ends the session
//
// # Promises
//
// Memory for chunks is bounded by Config.MemoryBytes for each direction, plus one chunk for
// each session, 64 KiB for each session served, 16 MiB of layouts, and 40 bytes
// for each chunk of a release that is being fetched. No goroutine outlives Run.
// A frame may come twice only in the endgame or after a cancel, and is counted.
package transfer
