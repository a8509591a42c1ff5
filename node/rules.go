package node

import (
	"fmt"
	"slices"
	"time"
)

// limit bounds what a carry rule brings here, and for how long.
type limit struct {
	QuotaBytes uint64    `json:"quota_bytes,omitempty"` // 0 for none
	Expires    time.Time `json:"expires,omitzero"`      // zero for never
}

func (l limit) expired(now time.Time) bool { return !l.Expires.IsZero() && !now.Before(l.Expires) }

// limitChange is what an operator says about limits; nil leaves them as they
// are.
type limitChange struct {
	quotaBytes *uint64
	expires    *time.Time
}

// carryRule is a pattern with its limits.
type carryRule struct {
	pattern string
	limit
}

// limit changes the limits of a pattern.
func (l *ruleLists) limit(pattern string, c limitChange) {
	now := l.Limits[pattern]
	if c.quotaBytes != nil {
		now.QuotaBytes = *c.quotaBytes
	}
	if c.expires != nil {
		now.Expires = *c.expires
	}
	if now == (limit{}) {
		delete(l.Limits, pattern)
		return
	}
	if l.Limits == nil {
		l.Limits = make(map[string]limit)
	}
	l.Limits[pattern] = now
}

// checkLimits refuses limits of no rule.
func checkLimits(l ruleLists) error {
	for pattern := range l.Limits {
		if !slices.Contains(l.Carry, pattern) {
			return fmt.Errorf("limits of %.80q, which is not carried", pattern)
		}
	}
	return nil
}

// carried returns the carry rules that have not expired, in order of pattern.
func (r *rules) carried() []carryRule {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []carryRule
	for _, p := range r.lists.Carry {
		if l := r.lists.Limits[p]; !l.expired(now) {
			out = append(out, carryRule{p, l})
		}
	}
	return out
}

// expire drops the rules that have expired and returns their patterns, and when
// the next one does; zero if none will.
func (r *rules) expire(now time.Time) (dropped []string, next time.Time, err error) {
	r.mu.Lock()
	for p, l := range r.lists.Limits {
		if l.expired(now) {
			dropped = append(dropped, p)
		} else if !l.Expires.IsZero() && (next.IsZero() || l.Expires.Before(next)) {
			next = l.Expires
		}
	}
	r.mu.Unlock()
	if len(dropped) == 0 {
		return nil, next, nil
	}
	slices.Sort(dropped)
	err = r.change(func(l *ruleLists) {
		// What was carried anew meanwhile stays.
		l.Carry = slices.DeleteFunc(l.Carry, func(p string) bool { return slices.Contains(dropped, p) && l.Limits[p].expired(now) })
	})
	return dropped, next, err
}
