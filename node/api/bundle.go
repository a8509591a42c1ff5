package api

import "github.com/dunlin-mesh/dunlin/manifest"

// BundleExportRequest writes releases into a file on the node's machine.
type BundleExportRequest struct {
	Models []string `json:"models"`          // publisher/name, or publisher/name@version
	Out    string   `json:"out"`             // absolute
	State  []byte   `json:"state,omitempty"` // of the destination, as the call bundle/state answers
	Since  string   `json:"since,omitempty"` // version that the destination holds
}

// BundleExported tells what was written.
type BundleExported struct {
	Path       string          `json:"path"`
	Root       manifest.CID    `json:"root"`
	Bytes      uint64          `json:"bytes"` // of the file
	Publishers []string        `json:"publishers"`
	Releases   []BundleRelease `json:"releases"`
}

// BundleRelease is a release in a bundle.
type BundleRelease struct {
	Model      manifest.Model `json:"model"`
	Version    string         `json:"version"`
	Sequence   uint64         `json:"sequence"`
	Manifest   manifest.CID   `json:"manifest"`
	Variants   []string       `json:"variants"`
	Files      int            `json:"files"`
	Deltas     int            `json:"deltas"`      // files that come as a delta
	Bytes      uint64         `json:"bytes"`       // of chunks and deltas in the bundle
	TotalBytes uint64         `json:"total_bytes"` // of the files
}

// BundleImportRequest takes releases from a file on the node's machine.
type BundleImportRequest struct {
	Path  string `json:"path"`            // absolute
	Carry bool   `json:"carry,omitempty"` // carry from now on what is neither followed nor carried
}

// What became of a release in a bundle.
const (
	ImportDone    = "imported" // all of it is here
	ImportPartial = "partial"  // something is missing, peers may have it
	ImportRefused = "refused"
)

// BundleImported tells what was imported.
type BundleImported struct {
	Releases []ImportedRelease `json:"releases"`
}

// ImportedRelease is what became of one release in a bundle.
type ImportedRelease struct {
	Model        manifest.Model `json:"model"`
	Version      string         `json:"version"`
	Sequence     uint64         `json:"sequence"`
	Manifest     manifest.CID   `json:"manifest"`
	State        string         `json:"state"` // ImportDone, ImportPartial or ImportRefused
	Reason       string         `json:"reason,omitempty"`
	Variants     []string       `json:"variants,omitempty"`
	Chunks       int            `json:"chunks"`        // stored
	Bytes        uint64         `json:"bytes"`         // of those
	HeldChunks   int            `json:"held_chunks"`   // gone over, since they were here
	MissingBytes uint64         `json:"missing_bytes"` // still
}
