package manifest

import (
	"fmt"
	"strings"
)

// Bounds of a manifest.
const (
	Schema       = 1
	MaxVariants  = 64
	MaxFiles     = 4096 // in a variant, and in a golden set
	MaxFileBytes = 1 << 44
	maxText      = 4096
	maxList      = 64
)

// Manifest is the content of a release. The version for people and the
// sequence stand in the signed release record (package trust), so the same
// content published again has the same CID.
type Manifest struct {
	// Schema is 1. A reader refuses what it does not know.
	Schema int `cbor:"schema" json:"schema"`
	// Model is the model this is a release of.
	Model Model `cbor:"model" json:"model"`
	// Variants are builds of the release for different hardware: 1 to
	// [MaxVariants], names unique.
	Variants []Variant `cbor:"variants" json:"variants"`
	// Golden are the files of the golden set: inputs with expected outputs.
	Golden []File `cbor:"golden,omitempty" json:"golden,omitempty"`
	// Report is the publisher's evidence about the variants.
	Report *File `cbor:"report,omitempty" json:"report,omitempty"`
	// Urgent asks nodes not to wait for each other: no waves, and what others
	// report of the release does not hold it back. What fails on a node still
	// fails there.
	Urgent bool `cbor:"urgent,omitempty" json:"urgent,omitempty"`
	// Licence is an SPDX expression or a text of at most 4096 bytes.
	Licence string `cbor:"licence,omitempty" json:"licence,omitempty"`
}

// Variant is one build of a release.
type Variant struct {
	// Name is unique in the manifest, such as "default" or "int8".
	Name string `cbor:"name" json:"name"`
	// Format is the layout format of the main file, such as "onnx".
	Format string `cbor:"format" json:"format"`
	// Precision is the dominant element type, such as "f32"; empty if unknown.
	Precision string `cbor:"precision,omitempty" json:"precision,omitempty"`
	// Quantization names the method, such as "static-qdq"; empty for none.
	Quantization string `cbor:"quantization,omitempty" json:"quantization,omitempty"`
	// Requires says what the hardware must have; nil for no requirement.
	Requires *Requires `cbor:"requires,omitempty" json:"requires,omitempty"`
	// Files are 1 to [MaxFiles] files, in order of path, paths unique.
	Files []File `cbor:"files" json:"files"`
}

// Requires lists what a variant needs. An empty list allows anything. Of OS,
// Arch and EP one entry must match; of ISA, all must be there.
type Requires struct {
	OS             []string `cbor:"os,omitempty" json:"os,omitempty"`                             // GOOS values
	Arch           []string `cbor:"arch,omitempty" json:"arch,omitempty"`                         // GOARCH values
	ISA            []string `cbor:"isa,omitempty" json:"isa,omitempty"`                           // such as "avx512vnni"
	EP             []string `cbor:"ep,omitempty" json:"ep,omitempty"`                             // execution providers
	MinMemoryBytes uint64   `cbor:"min_memory_bytes,omitempty" json:"min_memory_bytes,omitempty"` // for the load peak
}

// File is one file of a variant.
type File struct {
	// Path is where the file lies below the variant's folder, see
	// [ValidatePath].
	Path string `cbor:"path" json:"path"`
	// Size is the file's length in bytes, at most [MaxFileBytes].
	Size uint64 `cbor:"size" json:"size"`
	// SHA256 is the digest of the whole file, checked before it is loaded.
	SHA256 Digest `cbor:"sha256" json:"sha256"`
	// Layout names the [Layout] block.
	Layout CID `cbor:"layout" json:"layout"`
	// Digests names the root of the digest tree, see [BuildDigests].
	Digests CID `cbor:"digests" json:"digests"`
}

// FileID is what chunks are addressed under: the same bytes cut at the same
// places have the same FileID in every release. It is comparable.
type FileID struct {
	Layout  CID `cbor:"layout" json:"layout"`
	Digests CID `cbor:"digests" json:"digests"`
}

// ID returns the identity of the file's content.
func (f File) ID() FileID { return FileID{Layout: f.Layout, Digests: f.Digests} }

// String returns a short text for logs.
func (id FileID) String() string { return id.Digests.String() }

// Variant returns the variant of that name.
func (m *Manifest) Variant(name string) (Variant, bool) {
	for _, v := range m.Variants {
		if v.Name == name {
			return v, true
		}
	}
	return Variant{}, false
}

// Size returns the sum of the sizes of the variant's files, in bytes.
func (v Variant) Size() (total uint64) {
	for _, f := range v.Files {
		total += f.Size
	}
	return total
}

// Validate checks every bound; see the fields.
func (m *Manifest) Validate() error {
	if m.Schema != Schema {
		return fmt.Errorf("manifest schema %d, this node knows %d: update dunlin", m.Schema, Schema)
	}
	if err := m.Model.Validate(); err != nil {
		return err
	}
	if len(m.Variants) == 0 || len(m.Variants) > MaxVariants {
		return fmt.Errorf("%d variants, want 1 to %d", len(m.Variants), MaxVariants)
	}
	if len(m.Licence) > maxText {
		return fmt.Errorf("licence of %d bytes, at most %d", len(m.Licence), maxText)
	}
	names := make(map[string]bool, len(m.Variants))
	for _, v := range m.Variants {
		if err := v.validate(); err != nil {
			return fmt.Errorf("variant %.80q: %w", v.Name, err)
		}
		if names[strings.ToLower(v.Name)] {
			return fmt.Errorf("two variants are called %q", v.Name)
		}
		names[strings.ToLower(v.Name)] = true
	}
	if len(m.Golden) > 0 {
		if err := validateFiles(m.Golden); err != nil {
			return fmt.Errorf("golden set: %w", err)
		}
	}
	if m.Report != nil {
		if err := validateFiles([]File{*m.Report}); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

func (v Variant) validate() error {
	if err := validateName("variant", v.Name, MaxNameBytes, "-_."); err != nil {
		return err
	}
	for _, text := range []string{v.Format, v.Precision, v.Quantization} {
		if len(text) > MaxNameBytes {
			return fmt.Errorf("text of %d bytes, at most %d", len(text), MaxNameBytes)
		}
	}
	if v.Format == "" {
		return fmt.Errorf("no format given")
	}
	if v.Requires != nil {
		if err := v.Requires.validate(); err != nil {
			return err
		}
	}
	return validateFiles(v.Files)
}

func (r *Requires) validate() error {
	for _, list := range [][]string{r.OS, r.Arch, r.ISA, r.EP} {
		if len(list) > maxList {
			return fmt.Errorf("%d requirements of one kind, at most %d", len(list), maxList)
		}
		for _, text := range list {
			if text == "" || len(text) > MaxNameBytes {
				return fmt.Errorf("requirement of %d bytes, want 1 to %d", len(text), MaxNameBytes)
			}
		}
	}
	return nil
}

// validateFiles checks each file, their order, and that no path is another's
// folder or its twin in other letter case.
func validateFiles(files []File) error {
	if len(files) == 0 || len(files) > MaxFiles {
		return fmt.Errorf("%d files, want 1 to %d", len(files), MaxFiles)
	}
	taken := make(map[string]bool, len(files))
	var total uint64
	for i, f := range files {
		if err := ValidatePath(f.Path); err != nil {
			return err
		}
		if i > 0 && files[i-1].Path >= f.Path {
			return fmt.Errorf("file %q stands out of order", f.Path)
		}
		if f.Size > MaxFileBytes {
			return fmt.Errorf("file %q has %d bytes, at most %d", f.Path, f.Size, int64(MaxFileBytes))
		}
		if total += f.Size; total > MaxFileBytes {
			return fmt.Errorf("files of more than %d bytes in sum", int64(MaxFileBytes))
		}
		if f.Layout.Codec() != DagCBOR || f.Digests.Codec() != DagCBOR {
			return fmt.Errorf("file %q: layout and digests must be dag-cbor blocks", f.Path)
		}
		folded := strings.ToLower(f.Path)
		if taken[folded] {
			return fmt.Errorf("file %q collides with another in letter case", f.Path)
		}
		taken[folded] = true
	}
	for _, f := range files {
		folded := strings.ToLower(f.Path)
		for at := strings.LastIndexByte(folded, '/'); at > 0; at = strings.LastIndexByte(folded[:at], '/') {
			if taken[folded[:at]] {
				return fmt.Errorf("file %q lies below another file", f.Path)
			}
		}
	}
	return nil
}
