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
	UpBytes   int64     `json:"up_bytes"` // since the home was opened
	DownBytes int64     `json:"down_bytes"`
}

// Budget is what passed on a day or in a month, up and down together.
type Budget struct {
	Of         string `json:"of"` // 2026-11-24 or 2026-11, by the local clock
	SpentBytes int64  `json:"spent_bytes"`
	LimitBytes int64  `json:"limit_bytes,omitempty"` // 0 for none
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
