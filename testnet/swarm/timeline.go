package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/testnet/lab"
)

// timeline notes what happened when, from the moment an update was offered. A
// nil timeline notes nothing. Safe for concurrent use.
type timeline struct {
	mu     sync.Mutex // owns what follows
	zero   time.Time
	events []event
}

type event struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	What string    `json:"what"`
}

// begin forgets everything; now is moment 0.
func (t *timeline) begin() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.zero, t.events = time.Now(), nil
}

func (t *timeline) note(who, what string) { t.noteAt(time.Now(), who, what) }

func (t *timeline) noteAt(at time.Time, who, what string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, event{at, who, what})
}

// Sampling of uplinks, and the parts of what came at which their moments are
// noted.
const sampleInterval = 50 * time.Millisecond

var milestones = []float64{0.01, 0.1, 0.5, 0.9, 0.99, 1}

// watch reads all uplinks until it is stopped, which notes what crossed them.
func (t *timeline) watch(ctx context.Context, l *lab.Lab) (stop func()) {
	if t == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { t.noteUplinks(sample(ctx, l)) })
	return func() {
		cancel()
		watching.Wait()
	}
}

// sample reads all uplinks until ctx ends.
func sample(ctx context.Context, l *lab.Lab) (at []time.Time, all [][]lab.Counter) {
	tick := time.NewTicker(sampleInterval)
	defer tick.Stop()
	for {
		if c, err := l.Counters(); err == nil {
			at, all = append(at, time.Now()), append(all, c)
		}
		select {
		case <-ctx.Done():
			return at, all
		case <-tick.C:
		}
	}
}

// noteUplinks notes when parts of what crossed each uplink had crossed it.
func (t *timeline) noteUplinks(at []time.Time, all [][]lab.Counter) {
	if len(all) == 0 {
		return
	}
	first, last := all[0], all[len(all)-1]
	for site := range first {
		for _, way := range []struct {
			name string
			of   func(lab.Counter) uint64
		}{{"in", func(c lab.Counter) uint64 { return c.BytesIn }}, {"out", func(c lab.Counter) uint64 { return c.BytesOut }}} {
			total := way.of(last[site].Sub(first[site]))
			next := 0
			var text []string
			for i := range all {
				got := way.of(all[i][site].Sub(first[site]))
				for next < len(milestones) && total > 0 && float64(got) >= milestones[next]*float64(total) {
					text = append(text, fmt.Sprintf("%.0f%% %.2fs", 100*milestones[next], at[i].Sub(t.zero).Seconds()))
					next++
				}
			}
			t.noteAt(at[len(at)-1], fmt.Sprintf("site %d", site), fmt.Sprintf("%s %d bytes: %s", way.name, total, strings.Join(text, ", ")))
		}
	}
}

// logLine is what slog's text handler writes. Lines of libp2p's gossip are left
// out: it notes every message.
var logLine = regexp.MustCompile(`^time=(\S+) level=(\S+) (.*)$`)

const noisy = "component=pubsub_rpc"

// tell prints everything, with what the nodes' logs say.
func (t *timeline) tell(w io.Writer, b *bed) error {
	if t == nil {
		return nil
	}
	err := t.noteLogs(append([]place{b.publisher}, b.takers...))
	t.write(w)
	return err
}

// noteLogs notes what the nodes' logs say from moment 0 on.
func (t *timeline) noteLogs(places []place) error {
	for _, p := range places {
		f, err := os.Open(filepath.Join(p.dir, "h", "up.log"))
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			m := logLine.FindStringSubmatch(lines.Text())
			if m == nil || strings.Contains(m[3], noisy) {
				continue
			}
			at, err := time.Parse(time.RFC3339Nano, m[1])
			if err == nil && !at.Before(t.zero) {
				t.noteAt(at, p.name, "log: "+m[3])
			}
		}
		if err := lines.Err(); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// write prints the events in their order.
func (t *timeline) write(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortStableFunc(t.events, func(a, b event) int { return a.At.Compare(b.At) })
	for _, e := range t.events {
		fmt.Fprintf(w, "%8.3fs  %-7s %s\n", e.At.Sub(t.zero).Seconds(), e.Who, e.What)
	}
}
