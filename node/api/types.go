package api

import (
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Progress is how far a call is.
type Progress struct {
	What  string `json:"what"`            // such as "hashing"
	Done  int64  `json:"done"`            // bytes, or steps
	Total int64  `json:"total,omitempty"` // 0 if unknown
}

// Status is what `dunlin status` shows.
type Status struct {
	PeerID     string       `json:"peer_id"`
	Addresses  []string     `json:"addresses"` // each ends in /p2p/PEERID; empty unless running
	Running    bool         `json:"running"`
	Since      time.Time    `json:"since,omitzero"`
	Version    string       `json:"version"` // of the software
	Mesh       string       `json:"mesh"`
	Site       string       `json:"site,omitempty"`
	Members    int          `json:"members"` // of the site that are connected, this node included; 0 unless running
	Gateway    bool         `json:"gateway"` // this node keeps contact with the outside for its site
	Preset     string       `json:"preset"`
	Peers      int          `json:"peers"`             // connected
	Serving    *Serving     `json:"serving,omitempty"` // absent unless models are served
	Network    Network      `json:"network"`
	Disk       Disk         `json:"disk"`
	Runtime    modelrt.Info `json:"runtime"`
	Models     []Model      `json:"models"`
	Publishers []Publisher  `json:"publishers"` // pinned
	Errors     []string     `json:"errors,omitempty"`
}

// Serving is where models are served over the Open Inference Protocol, as
// host:port, each empty where they are not.
type Serving struct {
	HTTP string `json:"http,omitempty"`
	GRPC string `json:"grpc,omitempty"`
}

// Network counts stream bytes of all protocols since the node started, without
// the headers of TCP, encryption and multiplexing.
type Network struct {
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
	// Transfer is the share of chunks and blocks.
	TransferIn  int64 `json:"transfer_in"`
	TransferOut int64 `json:"transfer_out"`
	// Delta is the share of deltas, which is part of the former.
	DeltaIn  int64 `json:"delta_in"`
	DeltaOut int64 `json:"delta_out"`
	// Control is the share of everything else: announcements, sync, fleet,
	// addresses, greetings.
	ControlIn  int64 `json:"control_in"`
	ControlOut int64 `json:"control_out"`
	// Duplicates is what of TransferIn was for chunks that were here already.
	Duplicates int64 `json:"duplicates"`
}

// Disk is what the store occupies.
type Disk struct {
	UsedBytes  uint64 `json:"used_bytes"`
	QuotaBytes uint64 `json:"quota_bytes,omitempty"`
	FreeBytes  uint64 `json:"free_bytes"`
}

// State says where a model stands on this node.
type State string

// The states of a model.
const (
	StateUnknown   State = "unknown"   // no release heard of
	StateKnown     State = "known"     // a release is known, and not wanted here
	StateWaiting   State = "waiting"   // a release is known, no peer at hand has it
	StateFetching  State = "fetching"  // chunks are coming in
	StateVerifying State = "verifying" // the whole file is checked, a child process loads it
	StateHolding   State = "holding"   // the release is here whole; Reason says which nodes' word it waits for
	StateCurrent   State = "current"   // the newest release is here: active if followed
	StateFailed    State = "failed"    // Reason says why; the active release is undisturbed
)

// Model is one model as this node sees it.
type Model struct {
	Model   manifest.Model `json:"model"`
	Role    []string       `json:"role"` // of "follow", "carry", "publish"
	State   State          `json:"state"`
	Reason  string         `json:"reason,omitempty"`
	Latest  *Release       `json:"latest,omitempty"` // newest signed release known
	Active  *Release       `json:"active,omitempty"` // what serves
	Serving bool           `json:"serving"`          // loaded and answering requests here
	// Worker is the process that the active release runs in, nil where that is
	// the node's own.
	Worker *modelrt.Worker `json:"worker,omitempty"`
	// Soak tells how the active release does while it is watched, Outage since when
	// none serves because memory does not hold two; nil for neither.
	Soak   *modelrt.SoakStatus `json:"soak,omitempty"`
	Outage *time.Time          `json:"outage,omitempty"`
	// Previous is the release to go back to.
	Previous *Release `json:"previous,omitempty"`
	// Variant, HeldBytes and TotalBytes tell about the newest release here.
	Variant    string    `json:"variant,omitempty"`
	HeldBytes  uint64    `json:"held_bytes"`
	TotalBytes uint64    `json:"total_bytes"`
	Priority   int       `json:"priority,omitempty"` // among what is fetched over a link
	Stale      bool      `json:"stale,omitempty"`    // the publisher's metadata has expired
	Held       []Release `json:"held,omitempty"`     // every release whose chunks are here
	// Routes says how files of the newest release come, where an earlier
	// release was here when they began to.
	Routes []Route `json:"routes,omitempty"`
}

// The ways in which a file comes.
const (
	ByDelta  = "delta"
	ByChunks = "chunks"
)

// Route is the way of one file of a release: by a delta, or in chunks and why.
type Route struct {
	Version    string `json:"version"`
	Path       string `json:"path"`
	By         string `json:"by"`                    // ByDelta or ByChunks
	Basis      string `json:"basis,omitempty"`       // version that the delta was made against
	DeltaBytes uint64 `json:"delta_bytes,omitempty"` // length of the delta
	Bytes      uint64 `json:"bytes,omitempty"`       // of the file
	Reason     string `json:"reason,omitempty"`      // why not by a delta
}

// Release names one release.
type Release struct {
	Version  string       `json:"version"`
	Sequence uint64       `json:"sequence"`
	Manifest manifest.CID `json:"manifest"`
	Complete bool         `json:"complete"`
}

// Peer is one peer that is connected or remembered.
type Peer struct {
	ID        string    `json:"id"`
	Connected bool      `json:"connected"`
	Addresses []string  `json:"addresses"`
	RTTMillis float64   `json:"rtt_ms,omitempty"`
	Direction string    `json:"direction,omitempty"` // inbound or outbound
	BytesIn   int64     `json:"bytes_in"`
	BytesOut  int64     `json:"bytes_out"`
	LastSeen  time.Time `json:"last_seen,omitzero"`
	Parole    bool      `json:"parole,omitempty"`  // sent bad bytes, not asked for now
	Local     bool      `json:"local"`             // reached inside the site
	Member    bool      `json:"member,omitempty"`  // of the site: it has said what it does
	Gateway   bool      `json:"gateway,omitempty"` // it keeps contact with the outside for the site
	Site      string    `json:"site,omitempty"`    // label that it shows
}

// Publisher is one pinned publisher.
type Publisher struct {
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"`
	Known       bool      `json:"known"` // its root has been seen, not only its fingerprint
	Own         bool      `json:"own"`   // its keys are on this node
	Version     int64     `json:"version"`
	Expires     time.Time `json:"expires,omitzero"`
	Stale       bool      `json:"stale,omitempty"`
	Models      []string  `json:"models"`
	Evidence    int       `json:"evidence,omitempty"` // times it was caught at two contents under one version
	Problem     string    `json:"problem,omitempty"`  // why its state cannot be used, and what to do
}

// PublisherRequest names a publisher to create or export.
type PublisherRequest struct {
	Name string `json:"name"`
}

// PublisherRoot is what `trust add FILE` takes.
type PublisherRoot struct {
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
	Root        []byte `json:"root"`
}

// TrustRequest pins a publisher: by its root, or by name and fingerprint.
type TrustRequest struct {
	Root        []byte `json:"root,omitempty"`
	Name        string `json:"name,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

// PublishRequest makes a release of a file or folder on the node's machine.
type PublishRequest struct {
	// Path and Variant are the one variant of a release that has one; Path is
	// absolute. Empty where Variants are given.
	Path    string         `json:"path,omitempty"`
	Model   manifest.Model `json:"model"`
	Version string         `json:"version"`
	Variant string         `json:"variant,omitempty"`
	// Variants are the builds of a release that has several, in the publisher's
	// order, which decides between those that are alike.
	Variants        []PublishVariant `json:"variants,omitempty"`
	InPlace         bool             `json:"in_place,omitempty"`
	DType           manifest.DType   `json:"dtype,omitempty"`  // of a headerless array
	Urgent          bool             `json:"urgent,omitempty"` // see manifest.Manifest
	Golden          string           `json:"golden,omitempty"` // folder of the golden set, absolute
	Licence         string           `json:"licence,omitempty"`
	MinSafeSequence uint64           `json:"min_safe_sequence,omitempty"`
}

// PublishVariant is one build of a release.
type PublishVariant struct {
	Name string `json:"name"`
	Path string `json:"path"` // absolute
	// Precision is the dominant element type; empty for what the files show.
	Precision    string             `json:"precision,omitempty"`
	Quantization string             `json:"quantization,omitempty"`
	Requires     *manifest.Requires `json:"requires,omitempty"`
}

// PublishResult tells what was published.
type PublishResult struct {
	Model    manifest.Model `json:"model"`
	Version  string         `json:"version"`
	Sequence uint64         `json:"sequence"`
	Manifest manifest.CID   `json:"manifest"`
	Files    int            `json:"files"`
	Bytes    uint64         `json:"bytes"`
	Chunks   int            `json:"chunks"`
	Tensors  int            `json:"tensors"`
	Variants []string       `json:"variants"`
	Seconds  float64        `json:"seconds"`
}

// RulesRequest lists models to follow, patterns to carry, either to drop, or
// models to try again.
type RulesRequest struct {
	Models []string `json:"models"`
	// Priority, with models to follow, is theirs among what is fetched over a
	// link, -100 to 100; nil leaves it as it is.
	Priority *int `json:"priority,omitempty"`
}

// CarryRequest carries models that match patterns, or changes the limits of
// patterns that are carried already.
type CarryRequest struct {
	Models     []string   `json:"models"`
	QuotaBytes *uint64    `json:"quota_bytes,omitempty"` // 0 for none; nil leaves it as it is
	Expires    *time.Time `json:"expires,omitempty"`     // zero for never; nil leaves it as it is
}

// Rules is what is followed and carried.
type Rules struct {
	Follow     []string    `json:"follow"`
	Carry      []string    `json:"carry"`
	CarryRules []CarryRule `json:"carry_rules"` // the same as Carry, with limits and use
}

// CarryRule is a pattern of models that are carried. A release counts under the
// first rule that matches it and has room.
type CarryRule struct {
	Pattern      string    `json:"pattern"`
	QuotaBytes   uint64    `json:"quota_bytes,omitempty"` // 0 for none
	Expires      time.Time `json:"expires,omitzero"`      // zero for never
	UsedBytes    uint64    `json:"used_bytes"`            // of its releases, here
	PlannedBytes uint64    `json:"planned_bytes"`         // of its releases, once they are here whole
	Releases     int       `json:"releases"`              // that fit
	Waiting      int       `json:"waiting"`               // that do not
}

// ModelRequest names a model and, unless empty, a version.
type ModelRequest struct {
	Model   manifest.Model `json:"model"`
	Version string         `json:"version,omitempty"`
}

// WaitRequest waits until a release is here, verified and, if followed and
// runnable, active.
type WaitRequest struct {
	Model   manifest.Model `json:"model"`
	Version string         `json:"version,omitempty"` // empty for the newest known
	Timeout time.Duration  `json:"timeout"`           // 0 for none
}

// PathResult says where a variant's files lie.
type PathResult struct {
	Model    manifest.Model `json:"model"`
	Version  string         `json:"version"`
	Sequence uint64         `json:"sequence"`
	Variant  string         `json:"variant"`
	Active   bool           `json:"active"`
	Dir      string         `json:"dir"`
	Files    []PathFile     `json:"files"`
}

// PathFile is one file of a variant.
type PathFile struct {
	Name string `json:"name"` // inside the variant
	Path string `json:"path"` // absolute
	Size uint64 `json:"size"`
}

// InferRequest runs the active release. Inputs that are left out are zeros
// where the model's shapes allow it and Zeros is set.
type InferRequest struct {
	Model  manifest.Model            `json:"model"`
	Inputs map[string]modelrt.Tensor `json:"inputs"`
	Zeros  bool                      `json:"zeros,omitempty"`
}

// InferResult is the answer, and which release gave it.
type InferResult struct {
	Model   manifest.Model            `json:"model"`
	Version string                    `json:"version"`
	Outputs map[string]modelrt.Tensor `json:"outputs"`
	Seconds float64                   `json:"seconds"`
}

// VerifyResult tells what a check of whole files found.
type VerifyResult struct {
	Checked []Release `json:"checked"`
	Bytes   uint64    `json:"bytes"`
	Bad     []string  `json:"bad,omitempty"`
}

// FsckResult tells what a check of the store found and did.
type FsckResult struct {
	Chunks   int      `json:"chunks"` // checked
	Rotten   int      `json:"rotten"` // to be fetched again
	Bytes    uint64   `json:"bytes"`
	Releases int      `json:"releases"`
	Problems []string `json:"problems,omitempty"`
	Clean    bool     `json:"clean"`
}

// GCResult tells what garbage collection freed.
type GCResult struct {
	Releases int    `json:"releases"`
	Blocks   int    `json:"blocks"`
	Orphans  int    `json:"orphans"`
	Bytes    uint64 `json:"bytes"`
	// CompiledBytes were freed of what execution providers had compiled, which
	// they make again when they next load.
	CompiledBytes uint64 `json:"compiled_bytes,omitempty"`
}
