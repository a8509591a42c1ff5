package api

import (
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Link is one link of the operator and how it stands. Bytes are on the wire,
// headers as an estimate.
type Link struct {
	Name      string    `json:"name"`
	Match     []string  `json:"match"`           // prefixes of the remote address
	Local     []string  `json:"local,omitempty"` // interfaces or addresses of this machine
	Class     string    `json:"class"`           // lan, wan, narrow or satellite
	UpBits    int64     `json:"up_bits_per_second,omitempty"`
	DownBits  int64     `json:"down_bits_per_second,omitempty"`
	Schedule  []string  `json:"schedule,omitempty"`
	Day       Budget    `json:"day"`
	Month     Budget    `json:"month"`
	Metered   bool      `json:"metered"`
	FullLimit int64     `json:"full_limit_bytes,omitempty"` // what may come in full unasked
	Open      bool      `json:"open"`
	Reason    string    `json:"reason,omitempty"` // why it is closed
	Until     time.Time `json:"until,omitzero"`
	// UpBytes and DownBytes passed since the home was opened; what of them was no
	// data, but control traffic, stands beside.
	UpBytes          int64 `json:"up_bytes"`
	DownBytes        int64 `json:"down_bytes"`
	ControlUpBytes   int64 `json:"control_up_bytes"`
	ControlDownBytes int64 `json:"control_down_bytes"`
}

// Budget is what passed on a day or in a month, up and down together.
type Budget struct {
	Of         string `json:"of"` // 2026-11-24 or 2026-11, by the local clock
	SpentBytes int64  `json:"spent_bytes"`
	// ControlBytes is what of SpentBytes was control traffic; the rest was data.
	ControlBytes int64 `json:"control_bytes"`
	LimitBytes   int64 `json:"limit_bytes,omitempty"` // 0 for none
}

// LinkRequest names a link, and for a change key=value settings.
type LinkRequest struct {
	Name     string   `json:"name"`
	Settings []string `json:"settings,omitempty"`
}

// Allowance is a release that may come in full over metered links.
type Allowance struct {
	Model    manifest.Model `json:"model"`
	Version  string         `json:"version"`
	Manifest manifest.CID   `json:"manifest"`
}

// Plan is what it would cost to bring a release here, and when that could be.
type Plan struct {
	Model    manifest.Model `json:"model"`
	Version  string         `json:"version"`
	Sequence uint64         `json:"sequence"`
	Manifest manifest.CID   `json:"manifest"`
	// Here says that nothing is missing.
	Here bool `json:"here"`
	// Known says that the manifest is here, so that sizes are known.
	Known bool       `json:"known"`
	Files []PlanFile `json:"files"`
	// LeastBytes and MostBytes bound what comes on streams: the manifest,
	// layouts and digests where they are missing, deltas, chunks. Of chunks in
	// full the least is taken as half of them.
	LeastBytes uint64 `json:"least_bytes"`
	MostBytes  uint64 `json:"most_bytes"`
	// FullBytes is what of it comes in full at most.
	FullBytes uint64 `json:"full_bytes"`
	// Link is where it would come over; "lan" inside of the site, empty if no
	// peer is at hand.
	Link    string `json:"link,omitempty"`
	Class   string `json:"class,omitempty"`
	Metered bool   `json:"metered"`
	// BitsPerSecond is the rate of the link: "configured", "measured", or, by
	// its class, "assumed".
	BitsPerSecond int64  `json:"bits_per_second,omitempty"`
	Rate          string `json:"rate,omitempty"`
	// LeastSeconds and MostSeconds are how long the bytes take at that rate,
	// headers included.
	LeastSeconds float64  `json:"least_seconds"`
	MostSeconds  float64  `json:"most_seconds"`
	Budgets      []Budget `json:"budgets"` // of the link: day and month, where limited
	// Begins and Ends say when that would be within schedule and budgets, for
	// MostBytes; zero if it waits for something of which no time is known.
	Begins time.Time `json:"begins,omitzero"`
	Ends   time.Time `json:"ends,omitzero"`
	// Waits says what it waits for now; empty if nothing.
	Waits []string `json:"waits"`
}

// PlanFile is one file that is not here whole.
type PlanFile struct {
	Path         string `json:"path"`
	Bytes        uint64 `json:"bytes"`
	MissingBytes uint64 `json:"missing_bytes"`
	By           string `json:"by"`                    // ByDelta or ByChunks
	Basis        string `json:"basis,omitempty"`       // version that the delta is made against
	DeltaBytes   uint64 `json:"delta_bytes,omitempty"` // exact; 0 while nobody knows
	PartBytes    uint64 `json:"part_bytes,omitempty"`  // of the delta, here from a transfer that was cut off
	Reason       string `json:"reason,omitempty"`      // why not by a delta
	Peers        int    `json:"peers"`                 // asked now that have something of it
}
