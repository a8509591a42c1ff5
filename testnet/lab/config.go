package lab

import (
	"errors"
	"fmt"
)

// Bounds of a lab, from its addresses: 10.(10+site).0.(10+node).
const (
	MaxSites = 200
	MaxNodes = 200 // of one site, those that move in included
)

// Rate is bits a second on the wire, Ethernet headers included.
type Rate int64

// Kbit and Mbit are units of rates.
const (
	Kbit Rate = 1000
	Mbit Rate = 1000 * Kbit
)

// maxRate keeps the burst of a token bucket small.
const maxRate = 1000 * Mbit

// Site is one subnet behind one uplink.
type Site struct {
	Nodes    int  // 0..MaxNodes; others may move in later
	Up, Down Rate // of the uplink, seen from the site; 0 for no bound
}

// Config says what a lab consists of.
type Config struct {
	Sites []Site // 1..MaxSites
}

// Validate names the first thing that is wrong.
func (c Config) Validate() error {
	if len(c.Sites) == 0 || len(c.Sites) > MaxSites {
		return fmt.Errorf("lab of %d sites, want 1 to %d", len(c.Sites), MaxSites)
	}
	for i, s := range c.Sites {
		if s.Nodes < 0 || s.Nodes > MaxNodes {
			return fmt.Errorf("site %d of %d nodes, want 0 to %d", i, s.Nodes, MaxNodes)
		}
		if err := errors.Join(s.Up.validate(), s.Down.validate()); err != nil {
			return fmt.Errorf("site %d: %w", i, err)
		}
	}
	return nil
}

func (r Rate) validate() error {
	if r < 0 || r > maxRate || r > 0 && r < Kbit {
		return fmt.Errorf("rate of %d bit/s, want 0 or 1 kbit/s to 1 Gbit/s", r)
	}
	return nil
}

// Sizes of the token bucket and of the queue in front of it.
const (
	frame       = 1514                   // bytes of a full Ethernet frame as interfaces count it
	burstTicks  = 250                    // a bucket is refilled this often in a second, at least
	queueMillis = 400                    // that a full queue delays by
	queueFrames = 16                     // that a queue has room for, at least
	minQueue    = queueFrames * frame    // bytes
	minBurst    = 2 * frame              // bytes
	byteMillis  = 8 * 1000 / queueMillis // bits a second to bytes of queue
	byteTicks   = 8 * burstTicks         // bits a second to bytes of burst
)

// bucket returns the arguments of tc for r.
func (r Rate) bucket() string {
	return fmt.Sprintf("tbf rate %dbit burst %d limit %d", r, max(int64(r)/byteTicks, minBurst), max(int64(r)/byteMillis, minQueue))
}
