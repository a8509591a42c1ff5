package store

import (
	"fmt"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Golden and Report name a manifest's golden set and report wherever a variant
// is asked for. No variant can have these names.
const (
	Golden = ".golden"
	Report = ".report"
)

// Release names what a publisher signed: this manifest is this version.
type Release struct {
	Model    manifest.Model `cbor:"model" json:"model"`
	Version  string         `cbor:"version" json:"version"`
	Sequence uint64         `cbor:"sequence" json:"sequence"` // only grows within a model
	Manifest manifest.CID   `cbor:"manifest" json:"manifest"`
}

// Validate checks the names and that Manifest names a dag-cbor block.
func (r Release) Validate() error {
	if err := r.Model.Validate(); err != nil {
		return err
	}
	if err := manifest.ValidateVersion(r.Version); err != nil {
		return err
	}
	if r.Manifest.Codec() != manifest.DagCBOR {
		return fmt.Errorf("release %s@%s: manifest %s is no dag-cbor block", r.Model, r.Version, r.Manifest)
	}
	return nil
}

// String returns model@version.
func (r Release) String() string { return string(r.Model) + "@" + r.Version }

// Pin is a reason to keep a release.
type Pin string

// The reasons there are.
const (
	PinActive    Pin = "active"    // the runtime serves it
	PinPrevious  Pin = "previous"  // the runtime can go back to it
	PinFollowed  Pin = "followed"  // kept to run it
	PinCarried   Pin = "carried"   // kept to pass it on
	PinPublished Pin = "published" // signed on this node
)

// ReleaseState is what the store has of one release.
type ReleaseState struct {
	Release
	Variants []VariantState `json:"variants"`
	Pins     []Pin          `json:"pins"`
}

// VariantState is what the store has of one variant (or of [Golden], [Report])
// that was begun or adopted.
type VariantState struct {
	Name      string `json:"name"`
	Bytes     uint64 `json:"bytes"`      // sum of the files' sizes
	HeldBytes uint64 `json:"held_bytes"` // of that, durable chunks
	Complete  bool   `json:"complete"`   // every chunk of every file is held
}

// Location says where a variant's files lie.
type Location struct {
	// Dir is the absolute path of the folder that File.Path is relative to:
	// inside the store, or outside where the variant was published in place.
	Dir   string         `json:"dir"`
	Files []FileLocation `json:"files"` // in the manifest's order
}

// FileLocation says where one file lies. The file is not to be written to.
type FileLocation struct {
	Path     string `json:"path"`      // as in the manifest
	FullPath string `json:"full_path"` // absolute, as the system writes paths
	Size     uint64 `json:"size"`
	Complete bool   `json:"complete"`
}

// Usage is what the store takes of the disk, in bytes. A file with several
// names counts once.
type Usage struct {
	FileBytes  uint64 `json:"file_bytes"`  // files of releases, as allocated
	BlockBytes uint64 `json:"block_bytes"` // manifests, layouts, digest lists, as allocated
	IndexBytes uint64 `json:"index_bytes"` // the index, as allocated
	QuotaBytes uint64 `json:"quota_bytes"` // what FileBytes+BlockBytes are bounded by; 0 for no bound
	FreeBytes  uint64 `json:"free_bytes"`  // of the file system, for this user
}

// GCReport is what one GC took away.
type GCReport struct {
	Releases []Release `json:"releases"` // removed: neither pinned, wanted nor in use
	Blocks   int       `json:"blocks"`   // removed: nothing refers to them
	Orphans  int       `json:"orphans"`  // folders and files that no release owns
	Bytes    uint64    `json:"bytes"`    // given back, as allocated
}

// FsckOptions are the choices for a check.
type FsckOptions struct {
	// Progress, if given, is called with the bytes read since the last call.
	Progress func(bytes int64)
}

// FsckReport is what a check found. Rotten chunks and blocks are marked
// missing already, so that they are fetched again.
type FsckReport struct {
	Chunks        int      `json:"chunks"`         // held chunks read and compared
	Bytes         uint64   `json:"bytes"`          // their bytes
	Rotten        int      `json:"rotten"`         // of Chunks, not what they were; now missing
	MissingFiles  []string `json:"missing_files"`  // names in the index without a file of that size on disk
	Orphans       []string `json:"orphans"`        // files and folders that the index does not know; GC removes them
	Blocks        int      `json:"blocks"`         // blocks read and compared
	BadBlocks     int      `json:"bad_blocks"`     // of Blocks, not what their name says; removed
	MissingBlocks int      `json:"missing_blocks"` // needed by releases and not here
	Releases      int      `json:"releases"`       // releases in the index (after Rebuild: found again)
	BadReleases   []string `json:"bad_releases"`   // folders whose release file cannot be read; only from Rebuild
}

// Clean says whether nothing at all was wrong.
func (r FsckReport) Clean() bool {
	return r.Rotten == 0 && len(r.MissingFiles) == 0 && len(r.Orphans) == 0 &&
		r.BadBlocks == 0 && r.MissingBlocks == 0 && len(r.BadReleases) == 0
}

// StagedFile is one file about to be published.
type StagedFile struct {
	Path     string // where it goes below the variant's folder, slash-separated
	FullPath string // where it lies now, to be laid out and hashed
	Size     int64
}
