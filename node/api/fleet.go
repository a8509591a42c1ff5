package api

import (
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// FleetNode is one node of the mesh as this node knows it: what that node
// signed, Age seconds ago.
type FleetNode struct {
	PeerID    string `json:"peer_id"`
	Self      bool   `json:"self,omitempty"`      // this very node
	Connected bool   `json:"connected,omitempty"` // to this node, now
	Site      string `json:"site,omitempty"`
	Software  string `json:"software"`
	Platform  string `json:"platform"` // such as linux/arm64
	// Epoch grows with each start of the node, Sequence with each record of an
	// epoch.
	Epoch    uint64 `json:"epoch"`
	Sequence uint64 `json:"sequence"`
	// AgeSeconds is the time since the node said so, as far as those count it
	// that passed it on; Clock is what the node's own clock said then.
	AgeSeconds float64   `json:"age_seconds"`
	Clock      time.Time `json:"clock"`
	Via        string    `json:"via,omitempty"` // peer ID of who told this node
	// Models are at most 32; Omitted counts the others.
	Models        []FleetModel `json:"models"`
	Omitted       uint64       `json:"omitted,omitempty"`
	Links         FleetLinks   `json:"links"`
	DiskFreeBytes uint64       `json:"disk_free_bytes"`
}

// FleetModel is one model of such a node. Versions are empty where there is
// none.
type FleetModel struct {
	Model        manifest.Model `json:"model"`
	Held         string         `json:"held,omitempty"` // newest release that is there whole
	HeldSequence uint64         `json:"held_sequence,omitempty"`
	Wanted       string         `json:"wanted,omitempty"` // newest release followed or carried
	Active       string         `json:"active,omitempty"` // what serves
	Serving      bool           `json:"serving"`          // loaded, and answering there
	State        State          `json:"state"`
	Progress     float64        `json:"progress"` // of fetching, 0 to 1
	Reason       string         `json:"reason,omitempty"`
}

// FleetLinks counts the stream bytes of such a node since it started.
type FleetLinks struct {
	OutsideIn  uint64 `json:"outside_in"` // from other sites
	OutsideOut uint64 `json:"outside_out"`
	InsideIn   uint64 `json:"inside_in"` // from members of its own site
	InsideOut  uint64 `json:"inside_out"`
}
