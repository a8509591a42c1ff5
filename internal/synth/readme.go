package synth

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

const kB = 1000

// ppocrHead is the classifying layer of ppocr.
var ppocrHead = []string{"linear_85.w_0", "linear_85.b_0"}

// readme returns the classes of the corpus README's table, with its figures.
func readme() []Class {
	float := func(name string, best, reference int64, change change) Class {
		return Class{Name: name, Full: 10822 * kB, Best: best * kB, Reference: reference * kB, build: update(ppocr, native, native, change)}
	}
	wide := func(name, dtype string, best, reference int64, change change) Class {
		f := bare(as(dtype))
		return Class{Name: name, Full: 5380 * kB, Best: best * kB, Reference: reference * kB, build: update(ppocr, f, f, change)}
	}
	narrow := func(name string, best, reference int64, change change) Class {
		f := bare(int8s)
		return Class{Name: name, Full: 2818 * kB, Best: best * kB, Reference: reference * kB, build: update(ppocr, f, f, change)}
	}
	classes := []Class{
		float("readme/head-1e-2-f32", 2928, 1976, headed(ppocrHead...)),
		{Name: "readme/180-bytes-int16", Full: 47721 * kB, Best: 377, Reference: 220, build: fewBytes},
		float("readme/scattered-1pct-f32", 127, 116, scattered),
		float("readme/lora-r8-f32", 9930, 6852, merged(false)),
		{Name: "readme/lora-r8-f32-factors", Full: 10822 * kB, Best: 9930 * kB, Reference: 794 * kB, build: withFactors},
		float("readme/noise-1e-2-f32", 10025, 6937, noisy(1e-2)),
		float("readme/noise-1e-3-f32", 10029, 5847, noisy(1e-3)),
		float("readme/noise-1e-4-f32", 9719, 4757, noisy(1e-4)),
		wide("readme/noise-1e-3-f16", "F16", 2076, 1435, noisy(1e-3)),
		wide("readme/noise-1e-4-f16", "F16", 958, 578, noisy(1e-4)),
		wide("readme/noise-1e-2-bf16", "BF16", 2189, 1568, noisy(1e-2)),
		wide("readme/noise-1e-3-bf16", "BF16", 1097, 681, noisy(1e-3)),
		wide("readme/noise-1e-4-bf16", "BF16", 436, 274, noisy(1e-4)),
		narrow("readme/noise-1e-2-int8", 717, 547, noisy(1e-2)),
		narrow("readme/noise-1e-3-int8", 282, 198, noisy(1e-3)),
		narrow("readme/noise-1e-4-int8", 131, 108, noisy(1e-4)),
		float("readme/prune-50-f32", 754, 65, pruned(50)),
		float("readme/prune-80-f32", 573, 66, pruned(80)),
		narrow("readme/prune-50-int8", 869, 98, pruned(50)),
		narrow("readme/prune-80-int8", 718, 83, pruned(80)),
		float("readme/reorder-f32", 0, 0, reordered),
		reorderClass("readme/reorder-f16", strict(as("F16"))),
		reorderClass("readme/reorder-int8", strict(int8s)),
		reorderClass("readme/reorder-int16", strict(int16s)),
	}
	for i := range classes {
		classes[i].Limit = limits[strings.TrimPrefix(classes[i].Name, "readme/")]
	}
	return classes
}

// limits are the largest shares of the full file that the product promises,
// beside the reference coder's results.
var limits = map[string]float64{
	"prune-50-f32":        0.01,
	"noise-1e-4-int8":     0.035,
	"reorder-f32":         0.01,
	"reorder-f16":         0.01,
	"reorder-int8":        0.01,
	"reorder-int16":       0.01,
	"lora-r8-f32-factors": 0.08,
}

func reorderClass(name string, f format) Class {
	return Class{Name: name, Limit: 0.01, build: update(ppocr, f, f, reordered)}
}

// twins returns the README's classes of 16 and 8 bits in safetensors files: the
// same weights, and so the same reference.
func twins() []Class {
	var out []Class
	for _, c := range readme() {
		name := strings.TrimPrefix(c.Name, "readme/")
		kind, dtype := name[:strings.LastIndex(name, "-")], name[strings.LastIndex(name, "-")+1:]
		var encode func(*model, []tensor) []array
		switch {
		case c.Full == 0 || strings.HasPrefix(kind, "180"):
			continue
		case dtype == "f16" || dtype == "bf16":
			encode = as(strings.ToUpper(dtype))
		case dtype == "int8":
			encode = int8s
		default:
			continue
		}
		c.Name = "twin/" + name
		change := noisy(map[string]float64{"noise-1e-2": 1e-2, "noise-1e-3": 1e-3, "noise-1e-4": 1e-4}[kind])
		switch kind {
		case "prune-50":
			change = pruned(50)
		case "prune-80":
			change = pruned(80)
		}
		c.build = update(ppocr, strict(encode), strict(encode), change)
		out = append(out, c)
	}
	return out
}

// seedOf is what twins have in common.
func seedOf(class string) string {
	return strings.TrimPrefix(strings.TrimPrefix(class, "readme/"), "twin/")
}

// withFactors is the merged low-rank update, its factors beside it.
func withFactors(s *Source, class string) (Update, error) {
	m, err := s.model(ppocr)
	if err != nil {
		return Update{}, err
	}
	tensors, factors := adapt(m.tensors, 1e-2, false, strings.TrimSuffix(seedOf(class), "-factors"))
	return Update{
		Old: m.file, New: m.with(tensors), OldExt: m.ext, NewExt: m.ext,
		Factors: safetensors(arrays(factors, "F32")),
	}, nil
}

// The net of fewBytes: int16 weights whose size varies smoothly over the
// columns, and a last layer of int8, as in chess engines.
const (
	netRows, netCols = 23301, 1024
	netTail          = 552
	netChanged       = 180
	netFromEnd       = 400 // where the change begins
)

// fewBytes changes 180 bytes of int8 weights near the end of a net of int16.
func fewBytes(_ *Source, class string) (Update, error) {
	r := newRandom(class)
	sigma := make([]float64, netCols)
	for j := range sigma {
		d := float64(j-netCols/2) / (netCols / 2)
		sigma[j] = 20 + float64(60*float64(d*d))
	}
	old := make([]byte, 0, netRows*netCols*2+netTail)
	for range netRows {
		for _, s := range sigma {
			old = binary.LittleEndian.AppendUint16(old, uint16(int16(math.RoundToEven(float64(s*r.gauss())))))
		}
	}
	for range netTail {
		old = append(old, byte(int8(math.RoundToEven(float64(20*r.gauss())))))
	}
	out := slices.Clone(old)
	for i := range netChanged {
		at := len(out) - netFromEnd + i
		for out[at] == old[at] {
			out[at] = byte(int8(math.RoundToEven(float64(20 * r.gauss()))))
		}
	}
	return Update{Old: old, New: out}, nil
}
