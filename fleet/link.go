package fleet

import (
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Link is a kind of link to peers outside of the site. Members of the site
// always are on [LAN].
type Link string

// The links, from cheap bytes to dear ones.
const (
	LAN       Link = "lan"
	WAN       Link = "wan"
	Narrow    Link = "narrow"
	Satellite Link = "satellite"
)

// Site tells who is near.
type Site interface {
	// Local says whether the other end of a connection is a member of this
	// node's site. It is called often and from any goroutine.
	Local(network.Conn) bool
}

// pace is how often a pair of nodes talks over a link, and how much.
type pace struct {
	coalesce time.Duration // from a change to the session that tells it
	pause    time.Duration // least time between two sessions of a pair
	progress time.Duration // the same, if only progress or counters have changed
	renew    time.Duration // age at which a node signs anew although nothing changed
	silence  time.Duration // longest silence inside a session
	compare  time.Duration // between comparisons of ranges, for tables that differ for good
	budget   int           // bytes of records that one side sends in a session
}

// member is the pace inside of a site.
var member = pace{
	coalesce: 200 * time.Millisecond, pause: 500 * time.Millisecond, progress: time.Second,
	renew: time.Hour, silence: 15 * time.Second, compare: 5 * time.Minute, budget: 4 << 20,
}

// recheck is when two members of a site compare what they heard from other
// members, which have told all of them. It is jittered by a quarter.
const recheck = time.Minute

func (l Link) pace() (pace, error) {
	switch l {
	case LAN:
		return member, nil
	case WAN:
		return pace{
			coalesce: 15 * time.Second, pause: 10 * time.Second, progress: time.Minute,
			renew: time.Hour, silence: 30 * time.Second, compare: 10 * time.Minute, budget: 256 << 10,
		}, nil
	case Narrow:
		return pace{
			coalesce: time.Minute, pause: 5 * time.Minute, progress: 30 * time.Minute,
			renew: 6 * time.Hour, silence: 2 * time.Minute, compare: time.Hour, budget: 32 << 10,
		}, nil
	case Satellite:
		return pace{
			coalesce: 5 * time.Minute, pause: 30 * time.Minute, progress: 3 * time.Hour,
			renew: 24 * time.Hour, silence: 2 * time.Minute, compare: 6 * time.Hour, budget: 16 << 10,
		}, nil
	}
	return pace{}, fmt.Errorf("%w: link %.20q, want %s, %s, %s or %s", ErrConfig, string(l), LAN, WAN, Narrow, Satellite)
}
