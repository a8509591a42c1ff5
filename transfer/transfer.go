package transfer

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// ProtocolID names the protocol on libp2p.
const ProtocolID = "/dunlin/transfer/2"

// serviceName is what sessions count under in libp2p's resource manager.
const serviceName = "dunlin.transfer"

// Transfer fetches from peers and serves them. Make it with [New], run it with
// [Transfer.Run]; all methods are safe for concurrent use.
type Transfer struct {
	cfg     Config
	coder   codec.Coder
	buffers buffers
	layouts layouts
	peers   peers
	hub     hub
	memory  struct{ fetching, serving *budget } // chunk bytes in flight
	coding  *budget                             // one for each core: reading and encoding chunks
	traffic traffic
	totals  totals
	deltas  *deltas // nil without

	started chan struct{} // closed when Run begins
	work    sync.WaitGroup

	mu      sync.Mutex
	running bool
	ended   bool
	jobs    map[*context.CancelCauseFunc]struct{}
	served  map[*serving]struct{}
	plans   map[manifest.FileID]*plan // what is being fetched in chunks
}

// totals are the counters of Stats.
type totals struct {
	chunksIn, chunksOut, blocksIn, blocksOut, duplicate, bad atomic.Uint64
	fetching                                                 atomic.Int64
}

// New checks cfg and returns a Transfer that does nothing before Run. The
// error wraps [ErrConfig].
func New(cfg Config) (*Transfer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	t := &Transfer{
		cfg:     cfg,
		layouts: newLayouts(cfg.Store.Block),
		peers:   newPeers(cfg.Parole),
		hub:     newHub(),
		coding:  newBudget(codingSlots()),
		started: make(chan struct{}),
		plans:   map[manifest.FileID]*plan{},
		jobs:    map[*context.CancelCauseFunc]struct{}{},
		served:  map[*serving]struct{}{},
	}
	t.memory.fetching = newBudget(cfg.MemoryBytes)
	t.memory.serving = newBudget(cfg.MemoryBytes)
	if cfg.Delta != nil {
		if t.deltas, err = newDeltas(cfg); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Run serves peers until ctx ends; fetches that still run then end with
// ErrStopped. It returns nil when every session, served or fetched from, has
// ended and no goroutine is left. It runs once.
func (t *Transfer) Run(ctx context.Context) error {
	t.mu.Lock()
	if t.running || t.ended {
		t.mu.Unlock()
		return ErrStopped
	}
	if t.deltas != nil {
		var err error
		if t.deltas.cache, err = openDeltaCache(t.deltas.cfg.Dir, t.deltas.cfg.MaxBytes, t.deltas.cfg.Spare, t.cfg.Logger); err != nil {
			t.mu.Unlock()
			return err
		}
	}
	t.running = true
	close(t.started)
	t.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	handlers := map[protocol.ID]func(context.Context, network.Stream){ProtocolID: t.serve}
	if t.deltas != nil {
		handlers[DeltaProtocolID] = t.serveDelta
	}
	for id, serve := range handlers {
		t.cfg.Host.SetStreamHandler(id, func(s network.Stream) {
			if t.enter(nil) {
				defer t.work.Done()
				serve(ctx, t.paced(s, Use{Kind: UseServe}))
			} else {
				_ = s.Reset()
			}
		})
	}
	<-ctx.Done()
	for id := range handlers {
		t.cfg.Host.RemoveStreamHandler(id)
	}

	t.mu.Lock()
	t.running, t.ended = false, true
	for stop := range t.jobs {
		(*stop)(ErrStopped)
	}
	t.mu.Unlock()
	t.work.Wait()
	if t.deltas != nil {
		return t.deltas.cache.close()
	}
	return nil
}

// enter counts a piece of work, false if Run has ended. stop, if not nil, is
// called when Run ends.
func (t *Transfer) enter(stop *context.CancelCauseFunc) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.running {
		return false
	}
	if stop != nil {
		t.jobs[stop] = struct{}{}
	}
	t.work.Add(1)
	return true
}

// begin waits for Run and returns a context that ends with it, and what is to
// be called at the end.
func (t *Transfer) begin(ctx context.Context) (context.Context, func(), error) {
	select {
	case <-t.started:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	ctx, stop := context.WithCancelCause(ctx)
	if !t.enter(&stop) {
		stop(nil)
		return nil, nil, ErrStopped
	}
	return ctx, func() {
		t.mu.Lock()
		delete(t.jobs, &stop)
		t.mu.Unlock()
		stop(nil)
		t.work.Done()
	}, nil
}

// Changed says that the store came to hold, or lost, chunks of the file by
// other means than Fetch; peers that wait for them are told.
func (t *Transfer) Changed(id manifest.FileID) { t.hub.changed(id) }

// Stats returns the figures now.
func (t *Transfer) Stats() Stats {
	t.mu.Lock()
	serving := len(t.served)
	var d DeltaStats
	if t.deltas != nil && t.deltas.cache != nil {
		d = t.deltas.stats()
	}
	t.mu.Unlock()
	return Stats{
		Deltas:         d,
		BytesReceived:  t.traffic.received.Load(),
		BytesSent:      t.traffic.sent.Load(),
		ChunksReceived: t.totals.chunksIn.Load(),
		ChunksSent:     t.totals.chunksOut.Load(),
		BlocksReceived: t.totals.blocksIn.Load(),
		BlocksSent:     t.totals.blocksOut.Load(),
		DuplicateBytes: t.totals.duplicate.Load(),
		BadPeers:       t.totals.bad.Load(),
		Serving:        serving,
		Fetching:       int(t.totals.fetching.Load()),
		Peers:          t.peers.stats(),
	}
}

// punish drops a peer for what it did, and tells.
func (t *Transfer) punish(r *peerRecord, why error) {
	if !t.peers.punish(r, why) {
		return
	}
	t.totals.bad.Add(1)
	t.cfg.Logger.Warn("peer on parole", slog.Any("peer", r.id), slog.Any("until", t.peers.pausedUntil(r.id)), slog.Any("error", why))
	if t.cfg.OnBadPeer != nil {
		t.cfg.OnBadPeer(r.id, why)
	}
}
