package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// row is one measurement: one system, one case, one run.
type row struct {
	Case   string `json:"case"`
	System string `json:"system"`
	Run    int    `json:"run"`
	Ideal  ideal  `json:"ideal"`
	Target target `json:"target,omitzero"`

	Baseline string `json:"baseline,omitempty"` // the case of the same without faults

	// Of an update.
	Seconds    float64   `json:"seconds,omitempty"`      // until every node held it, verified, of a fault: once contact returned
	NodeSecond []float64 `json:"node_seconds,omitempty"` // each
	TimeRatio  float64   `json:"time_ratio,omitempty"`   // to the ideal at line rate
	SiteIn     []uint64  `json:"site_in,omitempty"`      // WAN bytes, the publisher's site first
	SiteOut    []uint64  `json:"site_out,omitempty"`
	BytesRatio float64   `json:"bytes_ratio,omitempty"` // mean of the sites, the publisher's apart
	WorstRatio float64   `json:"worst_ratio,omitempty"` // of the site that got most

	// Of nothing.
	IdleSeconds float64 `json:"idle_seconds,omitempty"`
	IdlePerNode float64 `json:"idle_bytes_per_node_minute,omitempty"` // in and out
	IdlePackets float64 `json:"idle_packets_per_node_minute,omitempty"`

	Use     []use   `json:"use,omitempty"` // during the measurement; peaks since the start
	Load    float64 `json:"load"`          // of the machine, over the last minute
	Problem string  `json:"problem,omitempty"`
}

// trailing is how long uplinks are counted on after the last node is done.
const trailing = time.Second

// measure runs one case with one system.
func (s *settings) measure(ctx context.Context, c benchCase, w work, best ideal, sys system, line *timeline, stderr io.Writer) (r row, err error) {
	r = row{Case: c.name, Ideal: best, Target: c.target, Baseline: c.baseline}
	b, err := newBed(ctx, c)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, sys.stop(), b.Close()) }()
	old, updated := w.build(s.size)
	if err := sys.start(ctx, b, w, old); err != nil {
		return r, fmt.Errorf("start: %w", err)
	}
	if c.kind == nothing { // after an update, so that whatever keeps it going is there
		if err := sys.update(ctx, b, w, updated, func(int) {}); err != nil {
			return r, fmt.Errorf("update before nothing: %w", err)
		}
	}
	if err := b.narrow(ctx); err != nil {
		return r, err
	}
	if _, ok := sys.(*dunlin); ok {
		if err := pause(ctx, s.settle); err != nil { // until sites have agreed on their gateways
			return r, err
		}
	}
	if err := b.settle(ctx); err != nil {
		return r, err
	}
	used, err := sys.use(b)
	if err != nil {
		return r, err
	}
	if c.kind == nothing {
		err = r.idle(ctx, b, s.idle)
	} else {
		patience := s.timeout
		if c.kind == darkSite {
			patience += s.dark
		}
		limited, cancel := context.WithTimeout(ctx, patience)
		err = errors.Join(r.update(limited, b, c, s.dark, func(ctx context.Context, arrived func(int)) error {
			return sys.update(ctx, b, w, updated, arrived)
		}, line), line.tell(stderr, b))
		cancel()
	}
	if err != nil {
		return r, err
	}
	if r.Use, err = sys.use(b); err != nil {
		return r, err
	}
	if c.kind == nothing { // whoever is silent has to be there all the same
		if err := s.wake(ctx, b, w, old, sys); err != nil {
			return r, err
		}
	}
	r.Load = load()
	for i := range r.Use {
		if i < len(used) {
			r.Use[i].CPU -= used[i].CPU
			r.Use[i].Came -= used[i].Came
			r.Use[i].Duplicates -= used[i].Duplicates
		}
	}
	return r, nil
}

// wake checks that after nothing an update reaches every node.
func (s *settings) wake(ctx context.Context, b *bed, w work, data []byte, sys system) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := sys.update(ctx, b, w, data, func(int) {}); err != nil {
		return fmt.Errorf("update after nothing: %w", err)
	}
	return nil
}

// update measures one update, with what goes wrong in the case meanwhile.
func (r *row) update(ctx context.Context, b *bed, c benchCase, dark time.Duration, update func(context.Context, func(int)) error, line *timeline) error {
	defer line.watch(ctx, b.Lab)()
	before, err := b.Counters()
	if err != nil {
		return err
	}
	f := newFault(b, c, dark)
	if err := f.begin(ctx); err != nil {
		return err
	}
	if err := f.during(ctx, update); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := pause(ctx, trailing); err != nil {
		return err
	}
	crossed, err := b.since(before)
	if err != nil {
		return err
	}
	for i := range b.takers {
		seconds := f.took(i).Seconds()
		r.NodeSecond = append(r.NodeSecond, seconds)
		r.Seconds = max(r.Seconds, seconds)
	}
	var sum uint64
	for site, c := range crossed {
		r.SiteIn, r.SiteOut = append(r.SiteIn, c.BytesIn), append(r.SiteOut, c.BytesOut)
		if site != publisherSite {
			sum += c.BytesIn
			r.WorstRatio = max(r.WorstRatio, float64(c.BytesIn)/float64(r.Ideal.Bytes))
		}
	}
	r.BytesRatio = float64(sum) / float64(len(crossed)-1) / float64(r.Ideal.Bytes)
	r.TimeRatio = r.Seconds / (float64(r.Ideal.Bytes*8) / float64(b.rate))
	return nil
}

// idle counts what crosses the uplinks of the sites, the publisher's apart,
// in both directions.
func (r *row) idle(ctx context.Context, b *bed, length time.Duration) error {
	before, err := b.Counters()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := pause(ctx, length); err != nil {
		return err
	}
	crossed, err := b.since(before)
	if err != nil {
		return err
	}
	minutes := time.Since(start).Minutes()
	r.IdleSeconds = minutes * 60
	for site, c := range crossed {
		r.SiteIn, r.SiteOut = append(r.SiteIn, c.BytesIn), append(r.SiteOut, c.BytesOut)
		if site != publisherSite {
			r.IdlePerNode += float64(c.BytesIn + c.BytesOut)
			r.IdlePackets += float64(c.PacketsIn + c.PacketsOut)
		}
	}
	r.IdlePerNode /= minutes * float64(len(b.takers))
	r.IdlePackets /= minutes * float64(len(b.takers))
	return nil
}
