package transfer

import (
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// TestDeltaEffort is the table of docs/protocol.md.
func TestDeltaEffort(t *testing.T) {
	const kbit, mbit, gbit, mb = 1e3 / 8, 1e6 / 8, 1e9 / 8, 1_000_000
	for _, tt := range []struct {
		link    Link
		rate    float64
		missing uint64
		want    codec.Effort
	}{
		{Narrow, 0, 1 * mb, codec.Strong},
		{Satellite, 0, 1 * mb, codec.Strong},
		{Narrow, 1 * gbit, 100 * mb, codec.Strong}, // bytes cost money, however fast they come
		{WAN, 0, 1 * mb, codec.Strong},             // not measured yet
		{LAN, 0, 100 * mb, codec.Strong},           // it may be anything
		{LAN, 128 * kbit, 100_000, codec.Strong},   // looks like a LAN and is none
		{WAN, 1 * mbit, 10 * mb, codec.Strong},
		{WAN, 10 * mbit, 10 * mb, codec.Strong},
		{WAN, 20 * mbit, 10 * mb, codec.Fast},
		{WAN, 100 * mbit, 10 * mb, codec.Light},
		{WAN, 100 * mbit, 100 * mb, codec.Fast},
		{LAN, 1 * gbit, 1 * mb, codec.Light},
		{LAN, 1 * gbit, 100 * mb, codec.Light},
		{LAN, 1 * gbit, 1000 * mb, codec.Fast},
		{LAN, 10 * gbit, 1000 * mb, codec.Light},
	} {
		if got := deltaEffort(tt.link, tt.rate, tt.missing); got != tt.want {
			t.Errorf("%s, %.0f bytes/s, %d missing: effort %d, want %d", tt.link, tt.rate, tt.missing, got, tt.want)
		}
	}
}
