package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// DeltaConfig is what a [Transfer] needs for deltas.
type DeltaConfig struct {
	// Dir is the folder in which deltas are kept to be passed on, and parts of
	// them to be gone on with; made if need be, used by nobody else. Required.
	Dir string
	// MaxBytes bounds what lies there, and so the length of any delta, 1 MiB
	// to 1 TiB; default 256 MiB.
	MaxBytes int64
	// Format is the version of the deltas that Coder makes and reads; deltas
	// are exchanged between peers of one format.
	Format uint32
	// Coder makes and reads deltas; required.
	Coder DeltaCoder
	// Open opens a file of which every chunk is held, for random access;
	// required. Its bytes are compared with their digests before they are used.
	Open func(context.Context, manifest.FileID) (WholeFile, error)
	// Spare, if set, says how many more bytes the disk may be filled with now.
	// It is asked when a delta begins and every 8 MiB.
	Spare func() (int64, error)
	// Rested is how long a coding goes on although nobody waits for it any
	// more, since links come back; default 30 s.
	Rested time.Duration
}

// WholeFile is a file open for random access from several goroutines. Whoever
// opened it closes it.
type WholeFile struct {
	io.ReaderAt
	io.Closer
	Size int64
	Name string // helps to tell the format
	// DType is what a file that is one array consists of; empty: its format
	// tells.
	DType manifest.DType
}

// DeltaCoder makes and reads deltas. Its methods are called at the same time,
// and end soon after their context.
type DeltaCoder interface {
	// Encode writes the delta that makes next from old. Its bytes depend on the
	// two files and effort alone.
	Encode(ctx context.Context, old, next WholeFile, w io.Writer, effort codec.Effort) error
	// Decode reads a delta to its end and writes the new file in order. An
	// error that wraps ErrCorrupt says that the delta is to blame; it is wrapped
	// if w fails, and if r does.
	Decode(ctx context.Context, old WholeFile, r io.Reader, w io.Writer) error
}

// deltas is the part of a Transfer that deals with deltas.
type deltas struct {
	cfg    DeltaConfig
	cache  *deltaCache // set when Run begins
	turn   *budget     // one coding at a time
	totals struct{ received, sent, coded atomic.Uint64 }

	mu       sync.Mutex
	sessions map[peer.ID]int // served
	served   int
	spent    map[peer.ID]*allowance
	hopeless map[deltaKey]deltaCode        // that were tried and came to nothing
	fetching map[manifest.FileID]*fetching // under way here
	chains   map[deltaKey]*chain           // being given outside
}

// newDeltas checks the configuration; open comes before use.
func newDeltas(cfg Config) (*deltas, error) {
	c := *cfg.Delta
	if c.Dir == "" || c.Coder == nil || c.Open == nil {
		return nil, fmt.Errorf("%w: folder, coder and opener of deltas are required", ErrConfig)
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 256 << 20
	}
	if c.MaxBytes < 1<<20 || c.MaxBytes > 1<<40 {
		return nil, fmt.Errorf("%w: delta bytes %d, want %d to %d", ErrConfig, c.MaxBytes, 1<<20, 1<<40)
	}
	if c.Rested == 0 {
		c.Rested = 30 * time.Second
	}
	return &deltas{
		cfg: c, turn: newBudget(1),
		sessions: map[peer.ID]int{}, spent: map[peer.ID]*allowance{},
		hopeless: map[deltaKey]deltaCode{}, fetching: map[manifest.FileID]*fetching{},
		chains: map[deltaKey]*chain{},
	}, nil
}

func (d *deltas) stats() DeltaStats {
	return DeltaStats{
		BytesReceived: d.totals.received.Load(), BytesSent: d.totals.sent.Load(),
		Coded: d.totals.coded.Load(), CacheBytes: d.cache.bytes(),
	}
}

// key names the delta of file against basis.
func (d *deltas) key(file, basis manifest.FileID, e codec.Effort) deltaKey {
	return deltaKey{d.cfg.Format, file, basis, e}
}

// begun notes that a delta of the file is being fetched here, until the
// function returned is called.
func (d *deltas) begun(id manifest.FileID, f *fetching) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fetching[id] = f
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.fetching[id] == f {
			delete(d.fetching, id)
		}
	}
}

// underway says whether a delta of the file is coming, and how much has come.
func (d *deltas) underway(id manifest.FileID) (bytes uint64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.fetching[id]
	if f == nil {
		return 0, false
	}
	n := f.growth.size()
	return uint64(n), true
}

// maxDeltaChunks bounds the files that deltas are made of: their digests are in
// memory while they are compared.
const maxDeltaChunks = 1 << 18

// holdsWhole says whether every chunk of the file is held, and how many are.
func (t *Transfer) holdsWhole(id manifest.FileID) (whole bool, count int) {
	held, err := t.cfg.Store.Held(id)
	if err != nil || len(held) == 0 {
		return false, 0
	}
	c, err := t.layouts.get(id.Layout)
	if err != nil || c.chunks.Len() > maxDeltaChunks {
		return false, held.Count()
	}
	return held.Count() == c.chunks.Len(), held.Count()
}

// openVerified opens a file that is held whole and compares all of its chunks.
// A chunk that rotted is told to the store, and the error wraps
// manifest.ErrContent.
func (t *Transfer) openVerified(ctx context.Context, id manifest.FileID) (_ WholeFile, err error) {
	c, err := t.layouts.get(id.Layout)
	if err != nil {
		return WholeFile{}, err
	}
	digests, err := manifest.LoadDigests(id.Digests, c.chunks.Len(), t.cfg.Store.Block)
	if err != nil {
		return WholeFile{}, err
	}
	f, err := t.deltas.cfg.Open(ctx, id)
	if err != nil {
		return WholeFile{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if f.Size != int64(c.layout.Size) {
		return WholeFile{}, fmt.Errorf("file %s has %d bytes on disk, want %d", id, f.Size, c.layout.Size)
	}
	buf := t.buffers.get(manifest.MaxChunkBytes)
	defer t.buffers.put(buf)
	for i, want := range digests {
		if err := ctx.Err(); err != nil {
			return WholeFile{}, context.Cause(ctx)
		}
		offset, n := c.chunks.At(i)
		if _, err := f.ReadAt((*buf)[:n], int64(offset)); err != nil && !errors.Is(err, io.EOF) {
			return WholeFile{}, fmt.Errorf("file %s: %w", id, err)
		}
		if manifest.SumDigest((*buf)[:n]) != want {
			_, err := t.cfg.Store.Chunk(ctx, id, i, nil) // finds what rotted
			return WholeFile{}, fmt.Errorf("chunk %d of %s: %w", i, id, errors.Join(manifest.ErrContent, err))
		}
	}
	return f, nil
}
