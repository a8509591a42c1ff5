package trust

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Policy says what a site makes of metadata whose expiry date has passed. In
// every case what was believed before stays believed and is shown as stale;
// the policy only decides whether expired metadata may still bring a change.
type Policy string

const (
	// PolicyOffline never refuses a change for its age. The default, since
	// most nodes in the field have no certain clock and see their publisher
	// through a courier once in a while: rollback and freeze are then limited
	// by versions, which only grow, and by contact.
	PolicyOffline Policy = "offline"
	// PolicyGrace refuses changes by metadata that expired more than
	// Config.Grace ago.
	PolicyGrace Policy = "grace"
	// PolicyStrict refuses changes by metadata that has expired. For sites
	// with a certain clock and a publisher that signs at least once a year.
	PolicyStrict Policy = "strict"
)

// DefaultGrace is Config.Grace where it is zero: with FreshLifetime, long enough
// for a publisher that signs every second year.
const DefaultGrace = 365 * 24 * time.Hour

// Config is what a Registry needs.
type Config struct {
	// Dir is the folder of the registry's state; made if absent. Required. One
	// process uses it at a time.
	Dir string
	// Policy is what happens to expired metadata; empty is PolicyOffline.
	Policy Policy
	// Grace is the tolerance of PolicyGrace, at most 100 years; zero is
	// DefaultGrace.
	Grace time.Duration
	// Now is the node's clock; nil is time.Now.
	Now func() time.Time
	// Logger gets what an operator should see: pins, equivocation, broken
	// state. Nil is silence.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("trust: Config.Dir is empty: name a folder for the state")
	}
	switch c.Policy {
	case "":
		c.Policy = PolicyOffline
	case PolicyOffline, PolicyGrace, PolicyStrict:
	default:
		return c, fmt.Errorf("trust: Config.Policy %q is none of %s, %s, %s", c.Policy, PolicyOffline, PolicyGrace, PolicyStrict)
	}
	if c.Grace < 0 || c.Grace > 100*365*24*time.Hour {
		return c, fmt.Errorf("trust: Config.Grace %s is not between 0 and 100 years", c.Grace)
	}
	if c.Grace == 0 {
		c.Grace = DefaultGrace
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// deadline returns the moment by which metadata must not have expired to
// bring a change, where the reference time is now; zero if any age will do.
func (c Config) deadline(now time.Time) time.Time {
	switch c.Policy {
	case PolicyStrict:
		return now
	case PolicyGrace:
		return now.Add(-c.Grace)
	default:
		return time.Time{}
	}
}
