package fleet

import (
	"fmt"
	"log/slog"
	"time"
)

// firstPatience is the least time between two epochs that are taken because
// somebody knew a newer record of this node, doubled each time up to
// longestPatience. Once is usual after the home was lost; again and again means
// that two machines use one key.
const (
	firstPatience   = time.Minute
	longestPatience = 4 * time.Hour
)

// Publish makes r this node's record, with a new sequence, unless it differs
// from the one in force in nothing but counters and clock, and that is younger
// than what the link asks for (an hour on lan and wan, six on narrow, a day on
// satellite). It says whether a record was signed. What does not fit is left
// out: models at the end. The error wraps [ErrRecord] if r is out of bounds.
func (f *Fleet) Publish(r Record) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.outgrowTo > 0 && time.Since(f.outgrown) >= f.patience {
		if err := f.raise(); err != nil {
			return false, err
		}
	}
	r.Peer, r.Epoch, r.Sequence, r.Time = f.config.Host.ID(), f.epoch, f.sequence+1, time.Now().Unix()
	data, err := sign(f.config.Key, f.config.Table.config.Mesh, &r)
	if err != nil {
		return false, err
	}
	if f.record != nil && compare(f.record, &r) == counted && time.Since(f.made) < f.outside.renew {
		return false, nil
	}
	f.put(&r, data)
	return true, nil
}

// put makes a signed record the one in force. f.mu is held.
func (f *Fleet) put(r *Record, data []byte) {
	f.sequence, f.record, f.made = r.Sequence, r, time.Now()
	if v, row := f.config.Table.put(r, data, 0, r.Peer, true); v == kept {
		f.contacts.changed(f, row)
	}
}

// outgrow is told of a record that this node has signed in another life, newer
// than the one in force: the node goes on beyond it.
func (f *Fleet) outgrow(epoch uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outgrowTo = max(f.outgrowTo, epoch)
	if !f.outgrown.IsZero() && time.Since(f.outgrown) < f.patience {
		return // with the next record that is published after that
	}
	if err := f.raise(); err != nil {
		f.config.Logger.Warn("this node's own old record cannot be outgrown", slog.Any("error", err))
		return
	}
	if f.record == nil {
		return
	}
	r := *f.record
	r.Epoch, r.Sequence, r.Time = f.epoch, 1, time.Now().Unix()
	data, err := sign(f.config.Key, f.config.Table.config.Mesh, &r)
	if err != nil {
		f.config.Logger.Warn("this node's record cannot be signed again", slog.Any("error", err))
		return
	}
	f.put(&r, data)
}

// raise takes an epoch beyond the one that was met. f.mu is held.
func (f *Fleet) raise() error {
	epoch, err := f.config.Table.nextEpoch(f.outgrowTo)
	if err != nil {
		return fmt.Errorf("outgrow epoch %d: %w", f.outgrowTo, err)
	}
	if !f.outgrown.IsZero() {
		f.patience = min(2*f.patience, longestPatience)
		f.config.Logger.Warn("others know newer records of this node than it has signed: does another machine use its key?",
			slog.Uint64("epoch", f.outgrowTo))
	}
	f.epoch, f.sequence, f.outgrowTo, f.outgrown = epoch, 0, 0, time.Now()
	return nil
}
