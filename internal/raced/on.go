//go:build race

// Package raced says whether the race detector is on, for tests of exact
// figures (memory, bytes over hours of virtual time) that it falsifies or makes
// too slow: those are skipped then, and run a second time without it. Nothing
// in production imports it.
package raced

// Enabled says whether this binary was built with -race.
const Enabled = true
