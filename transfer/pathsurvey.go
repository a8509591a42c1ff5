package transfer

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// maxSurveyed is how many peers a survey asks.
const maxSurveyed = 8

// Surveyed is what one peer says about a file.
type Surveyed struct {
	// Peer is who says it; empty for what lies in the own cache of deltas.
	Peer peer.ID
	// Path is the link to it; the zero value for what is here.
	Path Path
	// Chunks is how many chunks of the file it holds.
	Chunks int
	// Delta says that it has a delta against Basis, or makes one.
	Delta bool
	Basis manifest.FileID
	// DeltaBytes is the length of that delta; 0 while nobody knows.
	DeltaBytes uint64
	// PartBytes is what of that delta is here from a transfer that was cut off:
	// DeltaBytes less those are to come.
	PartBytes uint64
	// BytesPerSecond is what it delivered the last time; 0 if it never did.
	BytesPerSecond float64
}

// Survey asks up to 8 connected peers, those over the cheapest links first, what
// they have of a file, and for a delta against the bases (at most [MaxBases],
// may be none), without fetching anything: about a kilobyte each. Peers behind
// closed links are not asked; those that have not answered when ctx ends are
// left out, as are those that have nothing.
func (t *Transfer) Survey(ctx context.Context, release manifest.CID, file manifest.File, bases []manifest.FileID) ([]Surveyed, error) {
	ctx, end, err := t.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	bases = bases[:min(len(bases), MaxBases)]
	if t.deltas == nil {
		bases = nil
	}
	var found []Surveyed
	for _, basis := range bases {
		for _, e := range []codec.Effort{codec.Strong, codec.Fast} {
			if bytes, _ := t.deltas.cache.size(t.deltas.key(file.ID(), basis, e)); bytes > 0 {
				found = append(found, Surveyed{Delta: true, Basis: basis, DeltaBytes: uint64(bytes)})
			}
		}
	}
	asked := newScout(t, ProtocolID, Use{Kind: UseBlocks})
	defer asked.close()
	ready, _ := asked.ready(func(peer.ID) bool { return false })
	slices.SortStableFunc(ready, func(a, b peer.ID) int { return cmp.Compare(t.linkTo(a).rank(), t.linkTo(b).rank()) })
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, id := range ready[:min(len(ready), maxSurveyed)] {
		asking.Go(func() {
			s := Surveyed{Peer: id}
			s.BytesPerSecond, _ = t.peers.speed(id)
			t.surveyChunks(ctx, release, file, &s)
			if s.Chunks > 0 && len(bases) > 0 {
				t.surveyDelta(ctx, file, bases, &s)
			}
			mu.Lock()
			defer mu.Unlock()
			if s.Chunks > 0 || s.Delta {
				found = append(found, s)
			}
		})
	}
	asking.Wait()
	return found, nil
}

// surveyChunks opens a session and reads what the peer holds.
func (t *Transfer) surveyChunks(ctx context.Context, release manifest.CID, file manifest.File, s *Surveyed) {
	stream, err := t.openStream(ctx, s.Peer, ProtocolID, Use{Kind: UseBlocks})
	if err != nil {
		return
	}
	defer stream.Reset() //nolint:errcheck // nothing is to be saved
	defer context.AfterFunc(ctx, func() { _ = stream.Reset() })()
	s.Path = t.pathOf(stream.Conn())
	pace := s.Path.Link.pace()
	c := newConn(stream, 4<<10, messageWithin, pace.writeStall, &t.traffic)
	if c.send(&message{Hello: t.hello(s.Path.Link)}) != nil ||
		c.send(&message{Open: &open{Release: release, Files: []manifest.FileID{file.ID()}}}) != nil || c.flush() != nil {
		return
	}
	for {
		m, err := c.receive(pace.silence)
		if err != nil || m.Fault != nil {
			return
		}
		if m.Have != nil {
			s.Chunks = m.Have.Chunks.Count()
			return
		}
	}
}

// surveyDelta asks for a delta and hangs up once it is offered.
func (t *Transfer) surveyDelta(ctx context.Context, file manifest.File, bases []manifest.FileID, s *Surveyed) {
	d, err := t.openDelta(ctx, s.Peer, Use{Kind: UseBlocks})
	if err != nil {
		return
	}
	defer d.close()
	defer context.AfterFunc(ctx, func() { _ = d.conn.stream.Reset() })()
	effort := codec.Strong
	for i, b := range bases { // the one that is begun is gone on with
		if t.deltas.cache.parted(t.deltas.key(file.ID(), b, codec.Strong)) {
			bases = bases[i : i+1]
			break
		}
		if t.deltas.cache.parted(t.deltas.key(file.ID(), b, codec.Fast)) {
			bases, effort = bases[i:i+1], codec.Fast
			break
		}
	}
	ask := &deltaAsk{Version: Version, Format: t.deltas.cfg.Format, File: file.ID(), Bases: bases, Link: d.link, Effort: effort, Direct: true}
	if d.say(&deltaMessage{Ask: ask}) != nil {
		return
	}
	m, err := d.receive()
	if err == nil && m.Offer != nil && int(m.Offer.Basis) < len(bases) {
		s.Delta, s.Basis, s.DeltaBytes = true, bases[m.Offer.Basis], m.Offer.Bytes
		part := t.deltas.cache.partBytes(t.deltas.key(file.ID(), s.Basis, effort))
		s.PartBytes = min(uint64(part), s.DeltaBytes)
	}
}
