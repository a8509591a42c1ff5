package variant

import (
	"math"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// What is taken where the profile has no figures, see the package comment, and
// for 16-bit floats on processors, which compute them in 32 bits after turning
// them over.
const (
	int8Cost        = 0.6
	acceleratorCost = 0.5
	halfOnCPUCost   = 1.2
	halfCost        = 0.6 // on accelerators, which have units for them
)

// cost compares how long an operation takes: 1 is float32 on the CPU.
func (in Input) cost(v manifest.Variant, p modelrt.Provider) float64 {
	kind := v.Precision
	if kind == "f16" || kind == "bf16" {
		if onProcessor(p) {
			return halfOnCPUCost * in.rate(p, false)
		}
		return halfCost * in.rate(p, false)
	}
	return in.rate(p, kind == "i8" || kind == "u8")
}

func onProcessor(p modelrt.Provider) bool {
	return p == modelrt.CPU || p == modelrt.OpenVINO || p == modelrt.XNNPACK
}

// rate is the time per operation against that of float32 on the CPU.
func (in Input) rate(p modelrt.Provider, int8 bool) float64 {
	base, _ := in.speed(modelrt.CPU)
	f32, i8 := in.speed(p)
	if int8 && base > 0 && i8 > 0 {
		return base / i8
	}
	cost := 1.0
	switch {
	case base > 0 && f32 > 0:
		cost = base / f32
	case !onProcessor(p):
		cost = acceleratorCost
	}
	if int8 {
		cost *= int8Cost
	}
	return cost
}

// speed returns operations per second in float32 and int8, the geometric means
// of matrices and convolutions; 0 where one was not measured.
func (in Input) speed(p modelrt.Provider) (f32, i8 float64) {
	found, ok := in.Profile.Provider(p)
	if !ok || found.Speed == nil {
		return 0, 0
	}
	s := found.Speed
	return math.Sqrt(s.GEMMFloat32 * s.ConvFloat32), math.Sqrt(s.GEMMInt8 * s.ConvInt8)
}

// times fills in how long a run takes. Estimates are scaled by what was measured
// of other variants, the geometric mean; which of them serves plays no part, so
// that a change of what serves changes no estimate.
func (in Input) times(rows []Row, variants []manifest.Variant) {
	logs, count := 0.0, 0
	for i := range rows {
		r := &rows[i]
		if r.out() || !r.runs() {
			continue
		}
		r.Cost = in.cost(variants[i], r.Provider)
		if in.Latency == nil {
			continue
		}
		if took, ok := in.Latency(variants[i], r.Provider); ok && took > 0 {
			r.Seconds, r.Measured = took.Seconds(), true
			logs, count = logs+math.Log(r.Seconds/r.Cost), count+1
		}
	}
	if count == 0 {
		return
	}
	scale := math.Exp(logs / float64(count))
	for i := range rows {
		if r := &rows[i]; !r.Measured {
			r.Seconds = r.Cost * scale
		}
	}
}

// score orders by time; all rows of one decision have either seconds or costs.
func (r Row) score() float64 {
	if r.Seconds > 0 {
		return r.Seconds
	}
	return r.Cost
}
