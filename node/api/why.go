package api

import (
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/variant"
)

// Why tells how a node chose among the variants of a release.
type Why struct {
	Model    manifest.Model   `json:"model"`
	Version  string           `json:"version"`
	Sequence uint64           `json:"sequence"`
	Manifest manifest.CID     `json:"manifest"`
	Decision variant.Decision `json:"decision"`
	// Serving is what answers requests now, of whatever release; nil if nothing.
	Serving *WhyServing `json:"serving,omitempty"`
	// Note says why what was chosen does not serve; empty if it does.
	Note string `json:"note,omitempty"`
}

// WhyServing is an active variant.
type WhyServing struct {
	Version  string           `json:"version"`
	Variant  string           `json:"variant"`
	Provider modelrt.Provider `json:"provider,omitempty"`
	Since    time.Time        `json:"since"`
}
