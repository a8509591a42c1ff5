package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	maxHopeless = 1024 // deltas remembered that came to nothing
	maxSpenders = 1024 // peers remembered that had something coded
	// A peer may have this much time of coding at once, and this share of all
	// time in the long run.
	codingBurst = 15 * time.Minute
	codingShare = 4
)

var errWorse = errors.New("delta is no smaller than the file")

// allowance is the time of coding that a peer has used up; it recovers.
type allowance struct {
	spent time.Duration
	at    time.Time
	now   int // codings that it began and that have not ended
}

// spend says whether the peer may have something coded now.
func (d *deltas) spend(id peer.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.spent[id]
	if a == nil {
		for other, o := range d.spent {
			if len(d.spent) < maxSpenders {
				break
			}
			if o.now == 0 && o.rest(time.Now()) == 0 {
				delete(d.spent, other)
			}
		}
		if len(d.spent) >= maxSpenders {
			return false
		}
		a = &allowance{at: time.Now()}
		d.spent[id] = a
	}
	if a.now >= 2 || a.rest(time.Now()) > codingBurst {
		return false
	}
	a.now++
	return true
}

// rest brings spent up to date.
func (a *allowance) rest(now time.Time) time.Duration {
	a.spent = max(a.spent-now.Sub(a.at)/codingShare, 0)
	a.at = now
	return a.spent
}

func (d *deltas) spentBy(id peer.ID, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := d.spent[id]; a != nil {
		a.rest(time.Now())
		a.spent += took
		a.now--
	}
}

// remember notes that there is no use in coding k.
func (d *deltas) remember(k deltaKey, code deltaCode) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.hopeless) >= maxHopeless {
		clear(d.hopeless)
	}
	d.hopeless[k] = code
}

func (d *deltas) known(k deltaKey) (deltaCode, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	code, ok := d.hopeless[k]
	return code, ok
}

// code returns the delta: complete, being coded already, or begun now on behalf
// of the peer. Nil without an error: the peer has to come back later. The
// caller calls release. ctx ends what is begun; it is Run's.
func (t *Transfer) code(ctx context.Context, k deltaKey, id peer.ID) (*growth, error) {
	d := t.deltas
	if g := d.cache.whole(k); g != nil {
		return g, nil
	}
	if g := d.cache.join(k); g != nil {
		return g, nil
	}
	if !d.spend(id) || !t.enter(nil) {
		return nil, nil
	}
	g, err := d.cache.begin(k, deltaTemp)
	if g == nil {
		d.spentBy(id, 0)
		t.work.Done()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	d.cache.watch(g, cancel, d.cfg.Rested)
	go func() { // joined by Run
		defer t.work.Done()
		defer g.release()
		defer cancel()
		took, err := t.encode(ctx, k, g)
		d.spentBy(id, took)
		log := t.cfg.Logger.With(slog.Any("file", k.file), slog.Any("basis", k.basis))
		if err == nil {
			bytes := g.size()
			d.totals.coded.Add(1)
			log.Info("delta is coded", slog.Int64("bytes", bytes), slog.Duration("took", took))
			return
		}
		switch {
		case errors.Is(err, errWorse):
			d.remember(k, deltaWorse)
			log.Info("delta is no smaller than the file")
		case ctx.Err() == nil && !errors.Is(err, errDeltaRoom):
			log.Warn("delta could not be coded", slog.Any("error", err))
		default:
			log.Debug("delta is not coded to its end", slog.Any("error", err))
		}
		if err := g.fail(err, false); err != nil {
			log.Warn("what was coded of a delta stays behind until the next start", slog.Any("error", err))
		}
	}()
	return g, nil
}

// encode waits for its turn, codes, and keeps the result.
func (t *Transfer) encode(ctx context.Context, k deltaKey, g *growth) (took time.Duration, err error) {
	done, err := t.deltas.turn.acquire(ctx, 1)
	if err != nil {
		return 0, err
	}
	defer done()
	start := time.Now()
	defer func() { took = time.Since(start) }()
	old, err := t.openVerified(ctx, k.basis)
	if err != nil {
		return 0, fmt.Errorf("basis: %w", err)
	}
	defer old.Close()
	next, err := t.openVerified(ctx, k.file)
	if err != nil {
		return 0, fmt.Errorf("new file: %w", err)
	}
	defer next.Close()
	most := next.Size
	w := writerFunc(func(p []byte) (int, error) {
		if most -= int64(len(p)); most < 0 {
			return 0, errWorse
		}
		if err := ctx.Err(); err != nil {
			return 0, context.Cause(ctx)
		}
		return g.Write(p)
	})
	if err := t.deltas.cfg.Coder.Encode(ctx, old, next, w, k.effort); err != nil {
		return 0, err
	}
	if bytes := g.size(); bytes == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if err := g.keep(); err != nil {
		return 0, err
	}
	g.complete()
	return 0, nil
}
