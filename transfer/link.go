package transfer

import (
	"fmt"
	"time"
)

// Link is a class of link between two peers. It decides how hard frames are
// compressed, how often have-updates go out, and how long silence is borne.
type Link string

// The classes, from cheap to dear.
const (
	LAN       Link = "lan"       // Gbit/s, under a millisecond
	WAN       Link = "wan"       // Mbit/s, tens of milliseconds
	Narrow    Link = "narrow"    // tens of kbit/s
	Satellite Link = "satellite" // narrow, and 600 ms there and back
)

// ParseLink reads the name of a class.
func ParseLink(name string) (Link, error) {
	l := Link(name)
	if l.rank() < 0 {
		return "", fmt.Errorf("link %.20q: want lan, wan, narrow or satellite", name)
	}
	return l, nil
}

// rank orders the classes from cheap to dear; -1 for none of them.
func (l Link) rank() int {
	switch l {
	case LAN:
		return 0
	case WAN:
		return 1
	case Narrow:
		return 2
	case Satellite:
		return 3
	}
	return -1
}

// dearer returns the dearer one of two classes: a path is as its worst part.
func dearer(a, b Link) Link {
	if a.rank() > b.rank() {
		return a
	}
	return b
}

// pace is what a class of link implies.
type pace struct {
	minWindow  int           // bytes asked ahead at least
	silence    time.Duration // without progress for so long, a peer is dropped
	stall      time.Duration // after so long without a chunk, others may take over
	haves      time.Duration // have-updates are batched for so long
	rescan     time.Duration // how often peers that had nothing are asked again
	writeStall time.Duration // a write of 64 KiB that takes longer ends the session
}

func (l Link) pace() pace {
	switch l {
	case LAN:
		return pace{256 << 10, 10 * time.Second, 2 * time.Second, 5 * time.Millisecond, 250 * time.Millisecond, 20 * time.Second}
	case Narrow:
		return pace{64 << 10, time.Minute, 30 * time.Second, 2 * time.Second, 30 * time.Second, 2 * time.Minute}
	case Satellite:
		return pace{64 << 10, 90 * time.Second, 45 * time.Second, 5 * time.Second, time.Minute, 2 * time.Minute}
	}
	return pace{64 << 10, 20 * time.Second, 5 * time.Second, 250 * time.Millisecond, 5 * time.Second, time.Minute}
}
