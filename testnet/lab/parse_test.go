package lab

import (
	"strings"
	"testing"
)

const procNetDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       5       6    0    0    0     0          0         0        7       8    0    0    0     0       0          0
    s1:     300      31    0    0    0     0          0         0      400      41    0    0    0     0       0          0
    s0:     100      11    0    0    0     0          0         0      200      21    0    0    0     0       0          0
`

func TestParseCounters(t *testing.T) {
	got, err := parseCounters([]byte(procNetDev), 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Counter{{200, 21, 100, 11}, {400, 41, 300, 31}} {
		if got[i] != want {
			t.Errorf("site %d: %+v, want %+v", i, got[i], want)
		}
	}
	for name, bad := range map[string]struct {
		text  string
		sites int
	}{
		"a site is missing": {procNetDev, 3},
		"short line":        {"s0: 1 2 3\n", 1},
		"no number":         {strings.Replace(procNetDev, "31", "x", 1), 2},
	} {
		if _, err := parseCounters([]byte(bad.text), bad.sites); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Sites: []Site{{Nodes: 3, Up: 9600, Down: 64 * Kbit}, {}}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]Config{
		"no site":       {},
		"many sites":    {Sites: make([]Site, MaxSites+1)},
		"many nodes":    {Sites: []Site{{Nodes: MaxNodes + 1}}},
		"negative":      {Sites: []Site{{Nodes: -1}}},
		"negative rate": {Sites: []Site{{Up: -Mbit}}},
		"slow":          {Sites: []Site{{Down: 10}}},
		"fast":          {Sites: []Site{{Up: 10_000 * Mbit}}},
	} {
		if c.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A bucket holds a frame, and a queue 0.4 s or sixteen frames.
func TestBucket(t *testing.T) {
	for rate, want := range map[Rate]string{
		64 * Kbit:  "tbf rate 64000bit burst 3028 limit 24224",
		8 * Mbit:   "tbf rate 8000000bit burst 4000 limit 400000",
		100 * Mbit: "tbf rate 100000000bit burst 50000 limit 5000000",
	} {
		if got := rate.bucket(); got != want {
			t.Errorf("%d bit/s: %q, want %q", rate, got, want)
		}
	}
}
