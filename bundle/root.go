package bundle

import (
	"fmt"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Schema is the version of the format, a field of the root.
const Schema = 1

// Bounds of a root, which is a block and so at most [manifest.MaxBlockBytes].
const (
	// MaxPieceBytes is the length of every piece of a delta or of metadata but
	// the last, which may be shorter.
	MaxPieceBytes = 1 << 20
	// MaxUpdateBytes bounds the metadata of one publisher.
	MaxUpdateBytes = 32 << 20
	// MaxPublishers and MaxReleases bound what one bundle brings.
	MaxPublishers = 256
	MaxReleases   = 1024
	// maxSections bounds the sections of one release or file; the file system
	// bounds them before.
	maxSections = 1 << 28
	maxSpans    = 4096 // of the chunks of a file
)

// Root describes a bundle. Its order is that of the sections that follow.
type Root struct {
	// Schema is 1. A reader refuses what it does not know.
	Schema int `cbor:"schema" json:"schema"`
	// Full says that the bundle leaves out nothing: every block that describes a
	// release and every chunk of its files is there.
	Full bool `cbor:"full,omitempty" json:"full"`
	// Publishers are those whose metadata comes along, each once.
	Publishers []Publisher `cbor:"publishers,omitempty" json:"publishers"`
	// Releases are what comes, one of each model.
	Releases []Release `cbor:"releases" json:"releases"`
}

// Publisher is the signed metadata of one publisher: an update as package trust
// encodes it, in pieces.
type Publisher struct {
	Name        string          `cbor:"name" json:"name"`
	Fingerprint manifest.Digest `cbor:"fingerprint" json:"fingerprint"`
	Update      Pieces          `cbor:"update" json:"update"`
}

// Pieces are bytes cut into raw blocks of MaxPieceBytes, the last one maybe
// shorter.
type Pieces struct {
	Bytes  uint64         `cbor:"bytes" json:"bytes"`
	Blocks []manifest.CID `cbor:"blocks" json:"-"`
}

// Release is one release. That it is signed stands in the metadata.
type Release struct {
	Model    manifest.Model `cbor:"model" json:"model"`
	Version  string         `cbor:"version" json:"version"`
	Sequence uint64         `cbor:"sequence" json:"sequence"`
	Manifest manifest.CID   `cbor:"manifest" json:"manifest"`
	// Variants whose files come, as the manifest names them, in its order.
	Variants []string `cbor:"variants" json:"variants"`
	// Blocks is how many sections of structured blocks there are.
	Blocks uint32 `cbor:"blocks" json:"blocks"`
	// Files are those of Variants, of the golden set and the report, in the
	// manifest's order, files of equal content once.
	Files []File `cbor:"files" json:"files"`
}

// File says how one file comes: by chunks, by a delta, or, with neither, not at
// all, because the destination holds all of its chunks somewhere.
type File struct {
	ID     manifest.FileID `cbor:"id" json:"id"`
	Size   uint64          `cbor:"size" json:"size"`
	Chunks *Chunks         `cbor:"chunks,omitempty" json:"chunks,omitempty"`
	Delta  *Delta          `cbor:"delta,omitempty" json:"delta,omitempty"`
}

// Chunks are chunks of a file.
type Chunks struct {
	// Ranges are their indices. Chunks of equal bytes share one section.
	Ranges manifest.Ranges `cbor:"ranges" json:"-"`
	// Blocks is how many sections there are, Bytes the sum of their lengths.
	Blocks uint32 `cbor:"blocks" json:"blocks"`
	Bytes  uint64 `cbor:"bytes" json:"bytes"`
}

// Delta makes a file from another one.
type Delta struct {
	// Basis is the file that it was made against, Format the version of deltas.
	Basis  manifest.FileID `cbor:"basis" json:"basis"`
	Format uint32          `cbor:"format" json:"format"`
	Pieces Pieces          `cbor:"pieces" json:"pieces"`
}

// sections returns how many sections the file has.
func (f File) sections() int {
	switch {
	case f.Chunks != nil:
		return int(f.Chunks.Blocks)
	case f.Delta != nil:
		return len(f.Delta.Pieces.Blocks)
	}
	return 0
}

// Bytes returns the sum of the lengths of the file's sections.
func (f File) Bytes() uint64 {
	switch {
	case f.Chunks != nil:
		return f.Chunks.Bytes
	case f.Delta != nil:
		return f.Delta.Pieces.Bytes
	}
	return 0
}

// Validate implements [manifest.Validator].
func (r *Root) Validate() error {
	if r.Schema != Schema {
		return fmt.Errorf("bundle of schema %d, this node knows %d: update dunlin", r.Schema, Schema)
	}
	if len(r.Publishers) > MaxPublishers || len(r.Releases) > MaxReleases {
		return fmt.Errorf("%d publishers and %d releases, at most %d and %d", len(r.Publishers), len(r.Releases), MaxPublishers, MaxReleases)
	}
	if len(r.Publishers)+len(r.Releases) == 0 {
		return fmt.Errorf("nothing in it")
	}
	fingerprints := make(map[manifest.Digest]bool)
	for _, p := range r.Publishers {
		if err := p.validate(); err != nil {
			return fmt.Errorf("publisher %.80q: %w", p.Name, err)
		}
		if fingerprints[p.Fingerprint] {
			return fmt.Errorf("publisher %s stands there twice", p.Name)
		}
		fingerprints[p.Fingerprint] = true
	}
	models := make(map[manifest.Model]bool)
	for i := range r.Releases {
		rel := &r.Releases[i]
		if err := rel.validate(); err != nil {
			return fmt.Errorf("release %.200q: %w", string(rel.Model)+"@"+rel.Version, err)
		}
		if models[rel.Model] {
			return fmt.Errorf("model %s stands there twice", rel.Model)
		}
		models[rel.Model] = true
		for k, f := range rel.Files {
			if r.Full && f.Size > 0 && f.Chunks == nil {
				return fmt.Errorf("release %s@%s: file %d is left out of what is to be full", rel.Model, rel.Version, k)
			}
		}
	}
	return nil
}

func (p *Publisher) validate() error {
	if err := manifest.ValidatePublisher(p.Name); err != nil {
		return err
	}
	if p.Update.Bytes > MaxUpdateBytes {
		return fmt.Errorf("metadata of %d bytes, at most %d", p.Update.Bytes, MaxUpdateBytes)
	}
	return p.Update.validate()
}

func (p *Pieces) validate() error {
	if p.Bytes == 0 || p.Bytes > manifest.MaxFileBytes || uint64(len(p.Blocks)) != (p.Bytes+MaxPieceBytes-1)/MaxPieceBytes {
		return fmt.Errorf("%d bytes in %d pieces", p.Bytes, len(p.Blocks))
	}
	for _, c := range p.Blocks {
		if c.Codec() != manifest.Raw {
			return fmt.Errorf("piece %s is no raw block", c)
		}
	}
	return nil
}

func (r *Release) validate() error {
	if err := r.Model.Validate(); err != nil {
		return err
	}
	if err := manifest.ValidateVersion(r.Version); err != nil {
		return err
	}
	if r.Manifest.Codec() != manifest.DagCBOR {
		return fmt.Errorf("manifest %s is no dag-cbor block", r.Manifest)
	}
	if len(r.Variants) == 0 || len(r.Variants) > manifest.MaxVariants {
		return fmt.Errorf("%d variants", len(r.Variants))
	}
	if r.Blocks > maxSections {
		return fmt.Errorf("%d structured blocks", r.Blocks)
	}
	seen := make(map[manifest.FileID]bool)
	for i := range r.Files {
		f := &r.Files[i]
		if err := f.validate(); err != nil {
			return fmt.Errorf("file %d: %w", i, err)
		}
		if seen[f.ID] {
			return fmt.Errorf("file %d stands there twice", i)
		}
		seen[f.ID] = true
	}
	return nil
}

func (f *File) validate() error {
	if err := validateID(f.ID); err != nil {
		return err
	}
	if f.Size > manifest.MaxFileBytes {
		return fmt.Errorf("%d bytes", f.Size)
	}
	switch {
	case f.Chunks != nil && f.Delta != nil:
		return fmt.Errorf("comes in two ways")
	case f.Chunks != nil:
		return f.Chunks.validate(f.Size)
	case f.Delta != nil:
		if f.Delta.Basis == f.ID {
			return fmt.Errorf("is its own basis")
		}
		if err := validateID(f.Delta.Basis); err != nil {
			return fmt.Errorf("basis: %w", err)
		}
		return f.Delta.Pieces.validate()
	}
	return nil
}

func (c *Chunks) validate(size uint64) error {
	if err := c.Ranges.Validate(); err != nil {
		return err
	}
	n := c.Ranges.Count()
	if len(c.Ranges) > maxSpans || c.Ranges.End() > manifest.MaxChunksInFile || c.Blocks == 0 || int64(c.Blocks) > int64(n) || c.Blocks > maxSections {
		return fmt.Errorf("%d chunks in %d spans and %d sections", n, len(c.Ranges), c.Blocks)
	}
	if c.Bytes < uint64(c.Blocks) || c.Bytes > size {
		return fmt.Errorf("%d bytes of chunks in a file of %d", c.Bytes, size)
	}
	return nil
}

func validateID(id manifest.FileID) error {
	if id.Layout.Codec() != manifest.DagCBOR || id.Digests.Codec() != manifest.DagCBOR {
		return fmt.Errorf("file %s is not named by two dag-cbor blocks", id)
	}
	return nil
}
