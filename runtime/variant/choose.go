package variant

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	// sameTime is how much slower than the fastest still counts as its equal.
	sameTime = 1.1
	// muchFaster is the part of the serving variant's time that another must
	// undercut to take its place, and memoryReserve the part of the memory at hand
	// that its load may take.
	muchFaster    = 0.8
	memoryReserve = 0.8
	// loadOverhead is what a runtime takes beside a model's weights.
	loadOverhead = 32 << 20
)

// NeedBytes is the peak of loading a variant, and whether the manifest states it;
// see [Memory].
func NeedBytes(v manifest.Variant) (bytes uint64, declared bool) {
	if v.Requires != nil && v.Requires.MinMemoryBytes > 0 {
		return v.Requires.MinMemoryBytes, true
	}
	return 2*v.Size() + loadOverhead, false
}

// Choose decides, see the package comment. It never fails: where nothing can be
// chosen, the decision says why for each variant.
func Choose(in Input) Decision {
	rows := make([]Row, len(in.Variants))
	for i, v := range in.Variants {
		rows[i] = in.row(v)
	}
	in.times(rows, in.Variants)
	place := make(map[string]int, len(rows))
	for i, r := range rows {
		place[r.Name] = i
	}
	fastest := math.Inf(1)
	for _, r := range rows {
		if !r.out() && r.runs() {
			fastest = min(fastest, r.score())
		}
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(
			order(a.out(), b.out()), order(!a.runs(), !b.runs()), order(!a.Memory.Fits, !b.Memory.Fits),
			cmp.Compare(step(a, fastest), step(b, fastest)),
			cmp.Compare(a.MissingBytes, b.MissingBytes),
			cmp.Compare(place[a.Name], place[b.Name]))
	})
	d := Decision{Variants: rows}
	kept := stay(rows)
	for i := range rows {
		if !rows[i].out() {
			rows[i].Rank = i + 1
		}
	}
	d.explain(kept)
	return d
}

// row finds all about one variant but its time and rank.
func (in Input) row(v manifest.Variant) Row {
	r := Row{Name: v.Name, Format: v.Format, Precision: v.Precision, SizeBytes: v.Size(), Serving: v.Name == in.Serving && in.Serving != ""}
	r.Checks, r.Provider = in.check(v)
	if in.Missing != nil {
		r.MissingBytes = in.Missing(v)
	}
	r.Memory.NeedBytes, r.Memory.Declared = NeedBytes(v)
	if r.Memory.HaveBytes = in.Profile.Memory.AvailableBytes; r.Memory.HaveBytes > 0 && in.UnloadFirst {
		r.Memory.HaveBytes += in.ServingBytes
	}
	r.Memory.Fits = r.Serving || r.Memory.HaveBytes == 0 || r.Memory.NeedBytes <= r.Memory.HaveBytes || in.Profile.Engine.Reason != ""
	return r
}

// order puts false first.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// step is the number of tenths by which a variant is slower than the fastest one.
func step(r Row, fastest float64) int {
	if r.out() || !r.runs() || fastest <= 0 {
		return 0
	}
	return int(math.Log(r.score()/fastest) / math.Log(sameTime))
}

// stay moves the serving variant to the front of sorted rows unless the first
// one is worth the change, and tells whether it did.
func stay(rows []Row) bool {
	at := slices.IndexFunc(rows, func(r Row) bool { return r.Serving })
	if at <= 0 || rows[at].out() || (!rows[at].runs() && rows[0].runs()) {
		return false
	}
	best, now := rows[0], rows[at]
	roomy := best.Memory.HaveBytes == 0 || float64(best.Memory.NeedBytes) <= memoryReserve*float64(best.Memory.HaveBytes)
	if best.runs() && best.score() < muchFaster*now.score() && roomy {
		return false
	}
	copy(rows[1:at+1], rows[:at])
	rows[0] = now
	return true
}

// explain says why each variant stands where it does.
func (d *Decision) explain(kept bool) {
	if len(d.Variants) == 0 {
		d.Reason = "the release has no variants"
		return
	}
	first := d.Variants[0]
	if first.out() {
		d.Reason = "no variant meets its requirements here"
	} else {
		d.Chosen, d.Provider = first.Name, first.Provider
		d.Reason = d.why(kept)
	}
	for i := range d.Variants {
		r := &d.Variants[i]
		if r.Name != d.Chosen {
			r.Reason = r.against(first, d.Chosen != "", kept)
		}
	}
}

// why says what spoke for the chosen variant.
func (d *Decision) why(kept bool) string {
	first := d.Variants[0]
	fit := 0
	for _, r := range d.Variants {
		if !r.out() {
			fit++
		}
	}
	switch {
	case kept:
		return fmt.Sprintf("it serves, and no other would take less than %.0f %% of its time with memory to spare", 100*muchFaster)
	case fit == 1 && len(d.Variants) > 1:
		return "the only one that meets its requirements here"
	case fit == 1:
		return "the only one there is"
	case !first.Memory.Fits:
		return "none fits into the memory at hand; of those, the fastest"
	}
	return "of those that fit: the fastest, then the fewest bytes to fetch"
}

// against says why r is not the chosen one.
func (r *Row) against(chosen Row, any, kept bool) string {
	for _, c := range r.Checks {
		if !c.Met && (c.What != "format" || !any || chosen.runs()) {
			return c.Reason
		}
	}
	switch {
	case !r.Memory.Fits && chosen.Memory.Fits:
		return fmt.Sprintf("loading it takes %d bytes, %d are at hand", r.Memory.NeedBytes, r.Memory.HaveBytes)
	case kept && r.score() < chosen.score():
		return "faster, but not by enough to change what serves"
	case r.score() > chosen.score()*sameTime:
		return fmt.Sprintf("slower: %.0f %% of the time of %s", 100*r.score()/chosen.score(), chosen.Name)
	case r.MissingBytes > chosen.MissingBytes:
		return fmt.Sprintf("about as fast, and %d bytes more to fetch", r.MissingBytes-chosen.MissingBytes)
	}
	return "no better than " + chosen.Name
}
