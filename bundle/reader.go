package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Reader reads a bundle from its beginning to its end. The methods go on where
// the one before stopped, so they are called in the order of the root: Update
// for each publisher; then for each release either SkipRelease, or Blocks and
// for each of its files File or SkipFile; then End. One goroutine uses it, and
// closes the file itself.
type Reader struct {
	s    *sectionReader
	root Root
	buf  []byte // of one section
}

// Open reads a bundle's header and root. Errors: ErrMalformed, or one of reading.
func Open(file io.ReadSeeker) (*Reader, error) {
	s, err := newSectionReader(file)
	if err != nil {
		return nil, err
	}
	c, err := s.header()
	if err != nil {
		return nil, err
	}
	r := &Reader{s: s}
	if _, err := s.want(c, manifest.MaxBlockBytes); err != nil {
		return nil, err
	}
	data, err := s.take(nil)
	if err != nil {
		return nil, err
	}
	if err := manifest.Decode(data, &r.root); err != nil {
		return nil, malformed("its root: %v", err)
	}
	return r, nil
}

// Root returns what the bundle claims to bring; not to be changed.
func (r *Reader) Root() *Root { return &r.root }

// Position returns how many bytes of the file are behind, and how many it has.
func (r *Reader) Position() (at, size int64) { return r.s.at, r.s.size }

// Update returns the metadata of publisher i, at most MaxUpdateBytes that match
// their CIDs and nothing more: package trust says what they are worth.
func (r *Reader) Update(i int) ([]byte, error) {
	p := &pieceReader{r: r, pieces: r.root.Publishers[i].Update}
	var out bytes.Buffer // grown as it comes: the length is a claim
	if _, err := io.Copy(&out, p); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// BlockStore is where structured blocks go, and where those are that a bundle
// leaves out.
type BlockStore interface {
	// Block returns a block, compared with its CID; any error means that it is
	// not to be had.
	Block(manifest.CID) ([]byte, error)
	// PutBlock stores a block, which matches its CID.
	PutBlock(manifest.Block) error
}

// Blocks reads the structured blocks of release i into store and returns its
// manifest. That the release is signed is to be checked before. Errors:
// ErrMalformed; ErrLacks, for a block that is neither here nor there; the
// store's.
func (r *Reader) Blocks(ctx context.Context, i int, store BlockStore) (*manifest.Manifest, error) {
	rel := &r.root.Releases[i]
	read := 0
	get := func(c manifest.CID) ([]byte, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if read < int(rel.Blocks) {
			next, _, err := r.s.peek()
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			if err == nil && next == c {
				read++
				data, err := r.s.take(nil)
				if err != nil {
					return nil, err
				}
				return data, store.PutBlock(manifest.Block{CID: c, Data: data})
			}
		}
		data, err := store.Block(c)
		if err != nil {
			return nil, r.lacks(c, read < int(rel.Blocks), err)
		}
		return data, nil
	}
	w := newWalker(get)
	m, err := r.walk(w, rel)
	if err != nil {
		return nil, formed(err)
	}
	if read != int(rel.Blocks) {
		return nil, malformed("%d structured blocks of %s@%s do not belong to it", int(rel.Blocks)-read, rel.Model, rel.Version)
	}
	return m, nil
}

// lacks says what it means that block c is not the next one and not held.
func (r *Reader) lacks(c manifest.CID, more bool, why error) error {
	if r.root.Full {
		return malformed("block %s, which describes a release, is not where it is to come", c)
	}
	if !more {
		return fmt.Errorf("%w: block %s is neither in it nor here: %w", ErrLacks, c, why)
	}
	next, _, err := r.s.peek()
	if errors.Is(err, io.EOF) {
		return malformed("it ends before block %s: copy it again", c)
	}
	return fmt.Errorf("%w: block %s comes where %s is expected, which is not here: %w", ErrLacks, next, c, why)
}

// formed makes a malformed block one of the bundle's errors.
func formed(err error) error {
	if errors.Is(err, manifest.ErrFormat) && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLacks) {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return err
}

// walk reads the manifest and, file by file, what describes the chunks.
func (r *Reader) walk(w *walker, rel *Release) (*manifest.Manifest, error) {
	data, _, err := w.block(rel.Manifest)
	if err != nil {
		return nil, err
	}
	m := new(manifest.Manifest)
	if err := manifest.Decode(data, m); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", rel.Manifest, err)
	}
	if m.Model != rel.Model {
		return nil, malformed("the manifest that it gives for %s is of %s", rel.Model, m.Model)
	}
	files, err := filesOf(m, rel.Variants)
	if err != nil {
		return nil, malformed("%s@%s: %v", rel.Model, rel.Version, err)
	}
	if len(files) != len(rel.Files) {
		return nil, malformed("%s@%s: it lists %d files, the manifest %d", rel.Model, rel.Version, len(rel.Files), len(files))
	}
	for k, f := range files {
		if rel.Files[k].ID != f.ID() || rel.Files[k].Size != f.Size {
			return nil, malformed("%s@%s: its file %d is not the manifest's %s", rel.Model, rel.Version, k, f.Path)
		}
		if err := w.file(f.ID(), f.Size); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// SkipRelease goes over all of release i, of which nothing was read.
func (r *Reader) SkipRelease(i int) error {
	if err := r.s.skipMany(int(r.root.Releases[i].Blocks)); err != nil {
		return err
	}
	for k := range r.root.Releases[i].Files {
		if err := r.SkipFile(i, k); err != nil {
			return err
		}
	}
	return nil
}

// SkipFile goes over file k of release i.
func (r *Reader) SkipFile(i, k int) error {
	return r.s.skipMany(r.root.Releases[i].Files[k].sections())
}

// End returns nil if the file ends here.
func (r *Reader) End() error {
	switch _, _, err := r.s.peek(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return malformed("more follows at byte %d than it is to bring", r.s.at)
}

// Check reads all sections from the one that comes next to the end and compares
// each with its CID. It is for people who ask whether a file is in order.
func (r *Reader) Check(ctx context.Context, progress func(at, size int64)) (blocks int, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return blocks, err
		}
		if r.buf, err = r.s.take(r.buf); errors.Is(err, io.EOF) {
			return blocks, nil
		} else if err != nil {
			return blocks, err
		}
		blocks++
		if progress != nil {
			progress(r.Position())
		}
	}
}

// pieceReader yields pieces as one run of bytes. Its first error stays.
type pieceReader struct {
	r      *Reader
	pieces Pieces
	next   int
	rest   []byte
	err    error
}

// Read implements io.Reader.
func (p *pieceReader) Read(to []byte) (int, error) {
	if len(p.rest) == 0 && p.err == nil {
		p.err = p.fill()
	}
	if p.err != nil {
		return 0, p.err
	}
	n := copy(to, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pieceReader) fill() error {
	if p.next == len(p.pieces.Blocks) {
		return io.EOF
	}
	want := MaxPieceBytes
	if p.next == len(p.pieces.Blocks)-1 {
		want = int(p.pieces.Bytes - uint64(p.next)*MaxPieceBytes)
	}
	n, err := p.r.s.want(p.pieces.Blocks[p.next], want)
	if err != nil {
		return err
	}
	if n != want {
		return malformed("piece %s of %d bytes, want %d", p.pieces.Blocks[p.next], n, want)
	}
	p.r.buf, err = p.r.s.take(p.r.buf)
	p.next, p.rest = p.next+1, p.r.buf
	return err
}

// failed returns what went wrong with the bundle, nil if nothing did.
func (p *pieceReader) failed() error {
	if errors.Is(p.err, io.EOF) {
		return nil
	}
	return p.err
}

// skip goes over the pieces that were not begun, and returns how many.
func (p *pieceReader) skip() (int, error) {
	n := len(p.pieces.Blocks) - p.next
	p.next, p.rest = len(p.pieces.Blocks), nil
	return n, p.r.s.skipMany(n)
}
