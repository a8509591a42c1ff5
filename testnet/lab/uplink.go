package lab

import (
	"context"
	"fmt"
)

// shape puts what holds now onto both ends of a site's uplink.
func (l *Lab) shape(ctx context.Context, i int) error {
	s := l.sites[i]
	for _, end := range []struct {
		namespace, device string
		rate              Rate
	}{{l.core(), downlink(i), s.Down}, {l.router(i), uplink, s.Up}} {
		discipline := "pfifo"
		switch {
		case s.dark:
			discipline = "blackhole"
		case end.rate > 0:
			discipline = end.rate.bucket()
		}
		if err := tc(ctx, end.namespace, fmt.Sprintf("qdisc replace dev %s root %s", end.device, discipline)); err != nil {
			return err
		}
	}
	return nil
}

// SetRate changes a site's rates from now on, as [Site] has them. What waits in
// the queues is lost.
func (l *Lab) SetRate(ctx context.Context, site int, up, down Rate) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sites[site]
	s.Up, s.Down = up, down
	if err := (Config{Sites: []Site{s.Site}}).Validate(); err != nil {
		return err
	}
	if err := l.shape(ctx, site); err != nil {
		return fmt.Errorf("set the rate of site %d: %w", site, err)
	}
	return nil
}

// Cut makes a site's uplink lose everything, both ways, in silence, what waits
// in its queues included.
func (l *Lab) Cut(ctx context.Context, site int) error { return l.setDark(ctx, site, true) }

// Restore ends a [Lab.Cut].
func (l *Lab) Restore(ctx context.Context, site int) error { return l.setDark(ctx, site, false) }

func (l *Lab) setDark(ctx context.Context, site int, dark bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sites[site].dark = dark
	if err := l.shape(ctx, site); err != nil {
		return fmt.Errorf("cut or restore the uplink of site %d: %w", site, err)
	}
	return nil
}
