package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

// work is one update: a model of one tensor and what it becomes.
type work struct {
	name  string
	what  string // for people
	dtype string // of safetensors
	build func(size int) (old, updated []byte)

	// knownIdeal is what the general tools made of it when they were last run,
	// for runs without them.
	knownIdeal int64
}

// fullSize is the length of the models, in bytes.
const fullSize = 10_000_000

// works are the workloads of all cases.
//
// Of f32 weights, those that change get a tenth of a standard deviation added,
// as a step of training might: general tools then take 4.6 bytes for each.
var works = []work{
	{name: "cold", what: "10 MB of f32 weights, new", dtype: "F32", knownIdeal: 9_258_094, build: func(size int) ([]byte, []byte) {
		return nil, floats(size)
	}},
	{name: "tail", what: "last 5 % redrawn", dtype: "F32", knownIdeal: 465_428, build: func(size int) ([]byte, []byte) {
		old := floats(size)
		return old, redrawn(old, size/20)
	}},
	{name: "sparse", what: "1 % of f32 weights changed", dtype: "F32", knownIdeal: 116_150, build: func(size int) ([]byte, []byte) {
		old := floats(size)
		return old, nudged(old, 0.01, deviation/10)
	}},
	{name: "int8", what: "int8, 3 % of weights ± 1", dtype: "I8", knownIdeal: 659_572, build: func(size int) ([]byte, []byte) {
		old := integers(size)
		return old, stepped(old, 0.03)
	}},
	{name: "fifth", what: "last 20 % redrawn: 2 MB", dtype: "F32", knownIdeal: 1_856_000, build: func(size int) ([]byte, []byte) {
		old := floats(size)
		return old, redrawn(old, size/5)
	}},
}

// The distributions: N(0, 0.02) for floats, N(0, 30) for integers.
const (
	deviation    = 0.02
	int8Devation = 30
)

// Seeds, fixed for ever: one for what is old, one for what is changed.
func oldSource() *rand.Rand { return rand.New(rand.NewPCG(4, 2026)) }
func newSource() *rand.Rand { return rand.New(rand.NewPCG(5, 2026)) }

// floats returns size bytes of little-endian f32 weights.
func floats(size int) []byte {
	r := oldSource()
	out := make([]byte, 0, size)
	for len(out)+4 <= size {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(r.NormFloat64()*deviation)))
	}
	return out
}

// redrawn returns weights of which the last bytes are drawn again.
func redrawn(old []byte, last int) []byte {
	r := newSource()
	out := append([]byte(nil), old...)
	for at := len(out) - last/4*4; at < len(out); at += 4 {
		binary.LittleEndian.PutUint32(out[at:], math.Float32bits(float32(r.NormFloat64()*deviation)))
	}
	return out
}

// nudged returns weights of which a share, anywhere, has a normal number of the
// given deviation added.
func nudged(old []byte, share, by float64) []byte {
	r := newSource()
	out := append([]byte(nil), old...)
	for at := 0; at+4 <= len(out); at += 4 {
		if r.Float64() < share {
			w := math.Float32frombits(binary.LittleEndian.Uint32(out[at:]))
			binary.LittleEndian.PutUint32(out[at:], math.Float32bits(w+float32(r.NormFloat64()*by)))
		}
	}
	return out
}

// integers returns int8 weights, cut off at the ends of their range.
func integers(size int) []byte {
	r := oldSource()
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(int8(max(-128, min(127, math.Round(r.NormFloat64()*int8Devation)))))
	}
	return out
}

// stepped returns int8 weights of which a share is one more or one less.
func stepped(old []byte, share float64) []byte {
	r := newSource()
	out := append([]byte(nil), old...)
	for i, b := range out {
		if r.Float64() >= share {
			continue
		}
		step := int8(1)
		if r.Uint64()&1 == 0 {
			step = -1
		}
		if w := int8(b); w == math.MaxInt8 && step > 0 || w == math.MinInt8 && step < 0 {
			step = -step
		}
		out[i] = byte(int8(b) + step)
	}
	return out
}

// safetensors puts the header of a file of one tensor in front of its data.
func (w work) safetensors(data []byte) []byte {
	width := map[string]int{"F32": 4, "I8": 1}[w.dtype]
	header := fmt.Sprintf(`{"weights":{"dtype":%q,"shape":[%d],"data_offsets":[0,%d]}}`, w.dtype, len(data)/width, len(data))
	for len(header)%8 != 0 {
		header += " "
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), data...)
}
