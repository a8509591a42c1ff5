package lab

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Counter is what has crossed one site's uplink since the lab was made, as its
// interfaces counted it: whole Ethernet frames without their checksum, after
// queues, so without what they dropped.
type Counter struct {
	BytesIn    uint64 `json:"bytes_in"` // into the site
	PacketsIn  uint64 `json:"packets_in"`
	BytesOut   uint64 `json:"bytes_out"`
	PacketsOut uint64 `json:"packets_out"`
}

// Sub returns what has been counted since an earlier reading.
func (c Counter) Sub(earlier Counter) Counter {
	return Counter{
		BytesIn: c.BytesIn - earlier.BytesIn, PacketsIn: c.PacketsIn - earlier.PacketsIn,
		BytesOut: c.BytesOut - earlier.BytesOut, PacketsOut: c.PacketsOut - earlier.PacketsOut,
	}
}

// openCounters opens the counters of a namespace's interfaces; they can be read
// from any.
func openCounters(namespace string) (f *os.File, err error) {
	err = within(namespace, func() error {
		f, err = os.Open("/proc/thread-self/net/dev")
		return err
	})
	return f, err
}

// Counters reads all sites' uplinks at one moment, by site.
func (l *Lab) Counters() ([]Counter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	data, err := io.ReadAll(io.NewSectionReader(l.counters, 0, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read the counters of a lab: %w", err)
	}
	return parseCounters(data, len(l.sites))
}

// parseCounters reads the core's /proc/net/dev, proc_net(5): what the core
// sends, the site gets.
func parseCounters(data []byte, sites int) ([]Counter, error) {
	const (
		columns               = 16
		gotBytes, gotPackets  = 0, 1
		sentBytes, sentPackts = 8, 9
	)
	out := make([]Counter, sites)
	found := 0
	for line := range bytes.Lines(data) {
		name, rest, _ := strings.Cut(string(line), ":")
		text, ours := strings.CutPrefix(strings.TrimSpace(name), "s")
		site, err := strconv.Atoi(text)
		if !ours || err != nil || site < 0 || site >= sites {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) < columns {
			return nil, fmt.Errorf("counters of %s have %d columns, want %d", downlink(site), len(fields), columns)
		}
		var n [columns]uint64
		for i := range n {
			if n[i], err = strconv.ParseUint(fields[i], 10, 64); err != nil {
				return nil, fmt.Errorf("counters of %s: %w", downlink(site), err)
			}
		}
		out[site] = Counter{BytesIn: n[sentBytes], PacketsIn: n[sentPackts], BytesOut: n[gotBytes], PacketsOut: n[gotPackets]}
		found++
	}
	if found != sites {
		return nil, fmt.Errorf("counters of %d sites, want %d", found, sites)
	}
	return out, nil
}
