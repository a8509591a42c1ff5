package transfer

import "github.com/dunlin-mesh/dunlin/codec"

// What the choice between a delta and the plain file counts with, measured on
// one core of 2026 (see docs/protocol.md).
const (
	fastCoding   = 200e6 // bytes of the file a second
	strongCoding = 2.5e6
	fastSize     = 0.75 // of the plain frames, where all weights moved
	strongSize   = 0.5  // likewise
	deltaSetup   = 0.25 // seconds before the first byte
)

// deltaEffort says how the missing bytes of a file come here soonest, given
// what is known of the link: [codec.Light] for plain chunks, otherwise the
// effort of a delta. Sending and coding go on at the same time, so the slower
// of them counts. rate is in bytes a second, 0 for not measured. On links where
// bytes cost money time does not count. That a link looks like a LAN is no
// reason to send plain chunks: only a rate that was measured is, and it is
// measured while the first delta comes.
func deltaEffort(l Link, rate float64, missing uint64) codec.Effort {
	if rate <= 0 || l.rank() >= Narrow.rank() {
		return codec.Strong
	}
	bytes := float64(missing)
	plain := bytes / rate
	fast := deltaSetup + max(fastSize*bytes/rate, bytes/fastCoding)
	strong := deltaSetup + max(strongSize*bytes/rate, bytes/strongCoding)
	switch {
	case strong <= fast && strong <= plain:
		return codec.Strong
	case fast <= plain:
		return codec.Fast
	}
	return codec.Light
}
