package store

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Bounds of what the index holds.
const (
	recordSchema = 1
	// MaxReleases bounds the releases, and the wants, of a store.
	MaxReleases   = 1 << 14
	maxCopyNames  = 1024 // hard links of one file; the next release gets a copy
	maxPathBytes  = 1 << 12
	maxIndexValue = 1 << 20
)

// releaseRecord is what is known about a release: the value in the index, and
// the ".release" file in the release's folder, from which the index is rebuilt.
type releaseRecord struct {
	Schema   int             `cbor:"schema"`
	Release  Release         `cbor:"release"`
	Dir      string          `cbor:"dir"` // relative to the store
	Variants []variantRecord `cbor:"variants,omitempty"`
	Pins     []Pin           `cbor:"pins,omitempty"`
}

// variantRecord is a variant (or Golden, Report) that was begun or adopted.
type variantRecord struct {
	Name string `cbor:"name"`
	// External is the absolute folder that the files lie in outside the store;
	// empty for files in the store.
	External string `cbor:"external,omitempty"`
}

// Validate checks every bound, so that neither a damaged index nor a planted
// release file can name anything outside the store's models.
func (r *releaseRecord) Validate() error {
	if r.Schema != recordSchema {
		return fmt.Errorf("release record schema %d, this node knows %d: update dunlin", r.Schema, recordSchema)
	}
	if err := r.Release.Validate(); err != nil {
		return err
	}
	model := r.Release.Model
	prefix := modelsDir + "/" + model.Publisher() + "/" + model.Name() + "/"
	if base, ok := strings.CutPrefix(r.Dir, prefix); !ok || manifest.ValidatePath(base) != nil || strings.Contains(base, "/") {
		return fmt.Errorf("release record of %s: folder %.200q", r.Release, r.Dir)
	}
	if len(r.Variants) > manifest.MaxVariants+2 || len(r.Pins) > len(pinKinds) {
		return fmt.Errorf("release record of %s: %d variants, %d pins", r.Release, len(r.Variants), len(r.Pins))
	}
	for i, v := range r.Variants {
		if i > 0 && r.Variants[i-1].Name >= v.Name {
			return fmt.Errorf("release record of %s: variant %.80q stands out of order", r.Release, v.Name)
		}
		if err := validateVariantName(v.Name); err != nil {
			return err
		}
		if v.External != "" && (len(v.External) > maxPathBytes || !filepath.IsAbs(v.External)) {
			return fmt.Errorf("release record of %s: outside folder %.200q", r.Release, v.External)
		}
	}
	for i, p := range r.Pins {
		if !slices.Contains(pinKinds, p) || i > 0 && r.Pins[i-1] >= p {
			return fmt.Errorf("release record of %s: pin %.80q is unknown or out of order", r.Release, string(p))
		}
	}
	return nil
}

var pinKinds = []Pin{PinActive, PinCarried, PinFollowed, PinPrevious, PinPublished}

// validateVariantName allows what is one folder's name.
func validateVariantName(name string) error {
	if name == Golden || name == Report {
		return nil
	}
	if err := manifest.ValidatePath(name); err != nil {
		return err
	}
	if strings.Contains(name, "/") || strings.HasPrefix(name, ".") {
		return fmt.Errorf("%w: variant %.80q", manifest.ErrName, name)
	}
	return nil
}

// variant returns the record of the variant of that name.
func (r *releaseRecord) variant(name string) (*variantRecord, bool) {
	for i := range r.Variants {
		if r.Variants[i].Name == name {
			return &r.Variants[i], true
		}
	}
	return nil, false
}

// addVariant adds or replaces a variant and keeps the order.
func (r *releaseRecord) addVariant(v variantRecord) {
	if old, ok := r.variant(v.Name); ok {
		*old = v
		return
	}
	r.Variants = append(r.Variants, v)
	slices.SortFunc(r.Variants, func(a, b variantRecord) int { return strings.Compare(a.Name, b.Name) })
}

// clone returns a copy that shares nothing.
func (r *releaseRecord) clone() *releaseRecord {
	c := *r
	c.Variants, c.Pins = slices.Clone(r.Variants), slices.Clone(r.Pins)
	return &c
}

// copyRecord is one copy: a file on disk that holds chunks of one FileID.
type copyRecord struct {
	Schema int             `cbor:"schema"`
	File   manifest.FileID `cbor:"file"`
	Size   uint64          `cbor:"size"`
	SHA256 manifest.Digest `cbor:"sha256"`
	Chunks uint32          `cbor:"chunks"`
	// Names are the paths of the file relative to the store, hard links of each
	// other. With External they are only what releases call it.
	Names []string `cbor:"names,omitempty"`
	// External is the absolute path of a file in place outside the store.
	External string `cbor:"external,omitempty"`
	// Indexed says that every chunk's digest is in the index.
	Indexed bool `cbor:"indexed,omitempty"`
}

// Validate checks every bound.
func (c *copyRecord) Validate() error {
	if c.Schema != recordSchema {
		return fmt.Errorf("copy record schema %d, this node knows %d: update dunlin", c.Schema, recordSchema)
	}
	if c.Size > manifest.MaxFileBytes || uint64(c.Chunks) > c.Size || c.Chunks == 0 && c.Size > 0 {
		return fmt.Errorf("copy record of %d bytes in %d chunks", c.Size, c.Chunks)
	}
	if len(c.Names) > maxCopyNames || len(c.External) > maxPathBytes || c.External != "" && !filepath.IsAbs(c.External) {
		return fmt.Errorf("copy record with %d names, outside path %.200q", len(c.Names), c.External)
	}
	for _, name := range c.Names {
		if len(name) > maxPathBytes || !filepath.IsLocal(name) || !strings.HasPrefix(name, modelsDir+"/") {
			return fmt.Errorf("copy record with name %.200q", name)
		}
	}
	return nil
}

// heldCount is how much of a copy is held, kept beside the bitmap so that
// lists need not read it.
type heldCount struct {
	chunks uint32
	bytes  uint64
}

func (h heldCount) encode() []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(h.chunks)), h.bytes)
}

// decodeHeld reads what encode wrote and nothing else.
func decodeHeld(b []byte) (heldCount, error) {
	x, y, err := decodePair(b)
	if err != nil || x > 1<<32-1 {
		return heldCount{}, fmt.Errorf("count of held chunks: %x: %w", b, errValue)
	}
	return heldCount{uint32(x), y}, nil
}

// place says where a chunk lies in a copy.
type place struct{ offset, length uint64 }

func (p place) encode() []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, p.offset), p.length)
}

// decodePlace reads what encode wrote and nothing else, within a file's bounds.
func decodePlace(b []byte) (place, error) {
	x, y, err := decodePair(b)
	if err != nil || y == 0 || y > manifest.MaxChunkBytes || x > manifest.MaxFileBytes-y {
		return place{}, fmt.Errorf("place of a chunk: %x: %w", b, errValue)
	}
	return place{x, y}, nil
}

// decodePair reads two unsigned varints, each in its shortest form.
func decodePair(b []byte) (x, y uint64, err error) {
	x, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, errValue
	}
	y, m := binary.Uvarint(b[n:])
	if m <= 0 || len(binary.AppendUvarint(binary.AppendUvarint(nil, x), y)) != len(b) {
		return 0, 0, errValue
	}
	return x, y, nil
}
