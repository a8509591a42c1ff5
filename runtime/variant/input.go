package variant

import (
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/profile"
)

// Input is all that a choice depends on. Functions may be nil; they must give
// the same answer each time they are asked during one Choose.
type Input struct {
	// Variants are those of the release, in its order.
	Variants []manifest.Variant
	// Profile is the machine. Where its Providers are empty they were not tried,
	// and the CPU is taken for usable. Where its Engine has a Reason there is no
	// engine: files are kept for another runtime, and providers are not asked.
	Profile profile.Profile
	// Providers are those that this node may use, the liked ones first; empty for
	// the CPU only.
	Providers []modelrt.Provider
	// Runs says whether an engine here runs a format; nil for all. What nothing
	// here runs comes after all else, and needs no memory.
	Runs func(format string) bool
	// Serving names the variant of the model that serves now, of this release or
	// an earlier one; empty for none. ServingBytes is the memory it takes, 0 if
	// that is not known.
	Serving      string
	ServingBytes uint64
	// UnloadFirst says that what serves may be closed before the other is loaded.
	UnloadFirst bool
	// Latency returns how long one run takes here, as measured earlier.
	Latency func(v manifest.Variant, p modelrt.Provider) (time.Duration, bool)
	// Missing returns how many bytes of a variant are not here yet.
	Missing func(v manifest.Variant) uint64
	// Failed returns why a variant cannot be used although it fits: it was tried;
	// empty for one that was not, or went well.
	Failed func(name string) string
}

// Decision is the outcome: every variant with its requirements, memory, latency
// and bytes, in order of rank. Its JSON form is stable.
type Decision struct {
	// Chosen names the variant to run; empty if none can be.
	Chosen string `json:"chosen,omitempty"`
	// Provider is the execution provider to run it with.
	Provider modelrt.Provider `json:"provider,omitempty"`
	// Reason says in words why it is this one, or why none.
	Reason string `json:"reason"`
	// Variants are all, the chosen one first, those that are out last.
	Variants []Row `json:"variants"`
}

// Row is what was found about one variant.
type Row struct {
	Name      string `json:"name"`
	Format    string `json:"format"`
	Precision string `json:"precision,omitempty"`
	// Rank is 1 for the chosen one; 0 for one that is out.
	Rank int `json:"rank"`
	// Provider is what it would run on.
	Provider modelrt.Provider `json:"provider,omitempty"`
	// Checks are its requirements.
	Checks []Check `json:"checks"`
	// Memory is what loading takes.
	Memory Memory `json:"memory"`
	// Seconds is how long one run takes; 0 where nothing tells. Measured says that
	// it was measured here; otherwise it is estimated.
	Seconds  float64 `json:"seconds,omitempty"`
	Measured bool    `json:"measured"`
	// Cost compares variants where Seconds is not known: 1 is float32 on the CPU.
	Cost float64 `json:"cost"`
	// SizeBytes is the length of its files, MissingBytes what is not here yet.
	SizeBytes    uint64 `json:"size_bytes"`
	MissingBytes uint64 `json:"missing_bytes"`
	// Serving says that a variant of this name serves.
	Serving bool `json:"serving"`
	// Reason says why it is not the chosen one; empty for that one.
	Reason string `json:"reason,omitempty"`
}

// Check is one requirement.
type Check struct {
	// What is "os", "arch", "isa", "ep", "memory", "format" or "tried".
	What string `json:"what"`
	// Want and Have are what the variant asks and what the machine has.
	Want string `json:"want"`
	Have string `json:"have"`
	Met  bool   `json:"met"`
	// Reason says why it is not met.
	Reason string `json:"reason,omitempty"`
}

// Memory is in bytes.
type Memory struct {
	// NeedBytes is the peak of loading: what the manifest says, or else twice the
	// files and 32 MiB, since a runtime holds the file and packed weights at once.
	NeedBytes uint64 `json:"need_bytes"`
	Declared  bool   `json:"declared"`
	// HaveBytes is what can be had for it; 0 if that is not known.
	HaveBytes uint64 `json:"have_bytes,omitempty"`
	Fits      bool   `json:"fits"`
}

// Row returns what was found about the variant of that name.
func (d Decision) Row(name string) (Row, bool) {
	for _, r := range d.Variants {
		if r.Name == name {
			return r, true
		}
	}
	return Row{}, false
}

// out says whether a hard requirement is not met.
func (r Row) out() bool {
	for _, c := range r.Checks {
		if !c.Met && c.What != "format" {
			return true
		}
	}
	return false
}

// runs says whether an engine here runs its format.
func (r Row) runs() bool {
	for _, c := range r.Checks {
		if c.What == "format" {
			return c.Met
		}
	}
	return true
}
