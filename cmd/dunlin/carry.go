package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
)

type carryCmd struct {
	Patterns []string `arg:"" optional:"" help:"Models or patterns: acme/vad, acme/*, */*. Without any, the rules are listed."`
	Quota    string   `help:"Most that releases under each of these rules may take, such as 500MB or 2GiB; 0 for no bound." placeholder:"SIZE"`
	Expires  string   `help:"When the rules end and what they brought goes: after a time such as 36h or 14d, on a date such as 2026-12-24, or never." placeholder:"WHEN"`
}

// Help is the second part of `dunlin carry --help`.
func (carryCmd) Help() string {
	return `A carried model is fetched, verified and passed on, not run: for vehicles and laptops that meet the publisher and the
sites, but never both at once. Of what does not fit a quota, the release that was made last comes first; the rest waits,
and 'dunlin ls' says why. Models that are followed, or published here, count under no quota. A rule is changed by naming
it again with --quota or --expires.

Examples:
  dunlin carry 'acme/*'
  dunlin carry 'acme/*' --quota 2GB --expires 14d
  dunlin carry

Exit codes: 0 done, 2 wrong usage.`
}

// Run adds or changes rules, or lists them.
func (c carryCmd) Run(e *env) error {
	if len(c.Patterns) == 0 {
		return c.list(e)
	}
	req := api.CarryRequest{Models: c.Patterns}
	if c.Quota != "" {
		quota, err := parseSize(c.Quota)
		if err != nil {
			return api.Errorf(api.CodeUsage, "--quota: %v", err)
		}
		req.QuotaBytes = &quota
	}
	if c.Expires != "" {
		expires, err := parseMoment(c.Expires, time.Now())
		if err != nil {
			return api.Errorf(api.CodeUsage, "--expires: %v", err)
		}
		req.Expires = &expires
	}
	return changeRules(e, "carry", req)
}

func (c carryCmd) list(e *env) error {
	if c.Quota != "" || c.Expires != "" {
		return api.Errorf(api.CodeUsage, "name the patterns whose limits are to change")
	}
	var r api.Rules
	if err := e.call("rules", nil, &r); err != nil {
		return err
	}
	return e.print(r.CarryRules, func(w io.Writer) {
		if len(r.CarryRules) == 0 {
			fmt.Fprintln(w, "carrying nothing")
			return
		}
		t := newTable(w, "PATTERN", "RELEASES", "USED", "QUOTA", "WAITING", "EXPIRES")
		for _, rule := range r.CarryRules {
			quota, expires := "-", "-"
			if rule.QuotaBytes > 0 {
				quota = size(rule.QuotaBytes)
			}
			if !rule.Expires.IsZero() {
				expires = rule.Expires.Local().Format("2006-01-02 15:04")
			}
			t.row(rule.Pattern, rule.Releases, size(rule.UsedBytes), quota, rule.Waiting, expires)
		}
		t.flush()
	})
}

// sizeUnits are what may follow a number of bytes.
var sizeUnits = map[string]float64{
	"": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// parseSize reads a number of bytes as people write it: 500MB, 1.5 GiB, 4096.
func parseSize(text string) (uint64, error) {
	digits := strings.TrimRightFunc(strings.TrimSpace(text), func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	unit, ok := sizeUnits[strings.ToLower(strings.TrimSpace(strings.TrimSpace(text)[len(digits):]))]
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !ok || n < 0 || n*unit > math.MaxInt64 {
		return 0, fmt.Errorf("%q is no size (want a form such as 500MB, 2GiB or 4096)", text)
	}
	return uint64(n * unit), nil
}

// parseMoment reads a time from now on, a date (its beginning, where this machine
// is) or "never", which is the zero time.
func parseMoment(text string, now time.Time) (time.Time, error) {
	if text == "never" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n > 0 {
			return now.AddDate(0, 0, int(n)).UTC().Truncate(time.Second), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d).UTC(), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a time (36h, 14d), a date (2026-12-24, 2026-12-24T18:00) nor never", text)
}
