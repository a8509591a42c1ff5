//go:build !race

package gossip

// raced says whether the race detector is on.
const raced = false
