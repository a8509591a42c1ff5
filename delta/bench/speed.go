package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/synth"
)

// memoryTarget is the most resident bytes that encoding or decoding may take,
// for a file of any size.
const memoryTarget = 128 << 20

// speedCase is an update whose time is of interest. Targets are those of the
// product's promises; 0 where there is none.
type speedCase struct {
	name   string
	what   string
	large  synth.Large
	effort string // "" for the default
	procs  string // GOMAXPROCS, "" for all

	encodeRate, decodeRate float64       // at least, bytes a second of the new file
	within                 time.Duration // at most, each way
}

var speedCases = []speedCase{
	{
		name: "speed/planes-bf16", what: "every weight of 256 MiB, fast, one core",
		large:  synth.Large{Layers: 32, Noise: 1e-3, Head: 1e-3, Seed: "planes"},
		effort: "fast", procs: "1", encodeRate: 200e6, decodeRate: 400e6,
	},
	{
		name: "speed/planes-f32", what: "every weight of 256 MiB, fast, one core",
		large:  synth.Large{Layers: 16, Wide: true, Noise: 1e-3, Head: 1e-3, Seed: "planes"},
		effort: "fast", procs: "1", encodeRate: 200e6, decodeRate: 400e6,
	},
	{
		name: "speed/mixing-bf16", what: "every weight of 32 MiB, strong, two cores",
		large:  synth.Large{Layers: 4, Noise: 1e-3, Head: 1e-3, Seed: "mixing"},
		effort: "strong", procs: "2", encodeRate: 5e6, decodeRate: 5e6,
	},
	{
		name: "speed/mixing-f32", what: "every weight of 32 MiB, strong, two cores",
		large:  synth.Large{Layers: 2, Wide: true, Noise: 1e-3, Head: 1e-3, Seed: "mixing"},
		effort: "strong", procs: "2", encodeRate: 5e6, decodeRate: 5e6,
	},
	{
		name: "speed/head-1GiB", what: "4 MB of head in 1 GiB of bf16, default effort",
		large:  synth.Large{Layers: 128, Head: 1e-2, Seed: "head"},
		within: 5 * time.Second,
	},
	{
		name: "speed/same-1GiB", what: "nothing in 1 GiB of f32, default effort",
		large:  synth.Large{Layers: 64, Wide: true, Seed: "same"},
		within: 5 * time.Second,
	},
}

// write makes the case's files.
func (s *speedCase) write(dir string) error {
	old, err := os.Create(filepath.Join(dir, "old.safetensors"))
	if err != nil {
		return err
	}
	updated, err := os.Create(filepath.Join(dir, "new.safetensors"))
	if err != nil {
		return errors.Join(err, old.Close())
	}
	return errors.Join(s.large.Write(old, updated), old.Close(), updated.Close())
}
