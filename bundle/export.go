package bundle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// deltaLeast is how many bytes of a file must be missing for a delta to be
// worth the work, as between peers.
const deltaLeast = 64 << 10

// Source is what an export reads.
type Source interface {
	// Block returns a structured block, compared with its CID.
	Block(manifest.CID) ([]byte, error)
	// Chunk reads chunk i of a file into buf, which is replaced if it is too
	// short, and compares it with its digest.
	Chunk(ctx context.Context, id manifest.FileID, i int, buf []byte) ([]byte, error)
}

// Encoder makes deltas.
type Encoder interface {
	// Bases returns those of the files that the destination holds which a delta
	// of f could be made against here, the best one first.
	Bases(m manifest.Model, variant string, f manifest.File, held []manifest.FileID) []manifest.FileID
	// Encode writes the delta that makes file from basis. Its error wraps that of
	// out, if out fails.
	Encode(ctx context.Context, basis, file manifest.FileID, out io.Writer, progress func(done, total int64)) error
	// Format is the version of deltas that Encode writes.
	Format() uint32
}

// ExportConfig says what goes into a bundle, and for whom.
type ExportConfig struct {
	Source Source // required
	// Updates is the metadata of publishers: all that the destination lacks.
	Updates []Update
	// Releases are what is to come, one of each model, held whole in the named
	// variants.
	Releases []Choice
	// State is what the destination holds; nil for a full bundle. Of releases
	// that are not here, whose blocks Source does not have, nothing is left out
	// but whole files.
	State *State
	// Encoder makes deltas where the State allows it; nil for chunks only.
	Encoder Encoder
	// Temp is a folder for deltas while they are made, of which each is smaller
	// than what it saves; the system's if empty.
	Temp string
	// Progress, if not nil, is told the bytes that are done of all, first while
	// deltas are made and then while the file is written.
	Progress func(what string, done, total int64)
}

// Update is what trust.Update.Encode wrote.
type Update struct {
	Name        string
	Fingerprint manifest.Digest
	Data        []byte // at most MaxUpdateBytes
}

// Choice is a release to export, and its variants in the manifest's order.
type Choice struct {
	Model    manifest.Model
	Version  string
	Sequence uint64
	Manifest manifest.CID
	Variants []string
}

// Summary says what an export wrote.
type Summary struct {
	Root  manifest.CID `json:"root"`
	Bytes uint64       `json:"bytes"` // of the file
	// Brings is the root; not to be changed.
	Brings *Root `json:"brings"`
}

// Export writes a bundle to w. Equal arguments give equal bytes. Errors:
// ErrTooLarge; those of the Source, the Encoder, and of writing.
func Export(ctx context.Context, c ExportConfig, w io.Writer) (_ Summary, err error) {
	e := &exporter{c: c, root: &Root{Schema: Schema, Full: c.State == nil}}
	defer func() { err = errors.Join(err, e.close()) }()
	for _, u := range c.Updates {
		if err := e.addUpdate(u); err != nil {
			return Summary{}, err
		}
	}
	for _, choice := range c.Releases {
		if err := e.addRelease(ctx, choice); err != nil {
			return Summary{}, fmt.Errorf("%s@%s: %w", choice.Model, choice.Version, err)
		}
	}
	block, err := manifest.Encode(e.root)
	if err != nil {
		return Summary{}, fmt.Errorf("%w: describing it: %w", ErrTooLarge, err)
	}
	out := &sectionWriter{out: bufio.NewWriterSize(w, readAhead)}
	if err := e.write(ctx, out, block); err != nil {
		return Summary{}, err
	}
	return Summary{Root: block.CID, Bytes: out.bytes, Brings: e.root}, nil
}

// exporter is an export under way. First it plans, release by release, which
// makes the root; then it writes.
type exporter struct {
	c       ExportConfig
	root    *Root
	blocks  [][]manifest.CID // of each release, those that are written
	spool   *os.File         // the deltas, one behind the other; nil without one
	spooled int64            // its length
}

func (e *exporter) close() error {
	if e.spool == nil {
		return nil
	}
	return e.spool.Close()
}

func (e *exporter) told(what string, done, total uint64) {
	if e.c.Progress != nil {
		e.c.Progress(what, int64(done), int64(total))
	}
}

func (e *exporter) addUpdate(u Update) error {
	if len(u.Data) > MaxUpdateBytes {
		return fmt.Errorf("%w: metadata of %s of %d bytes", ErrTooLarge, u.Name, len(u.Data))
	}
	p := Publisher{Name: u.Name, Fingerprint: u.Fingerprint, Update: Pieces{Bytes: uint64(len(u.Data))}}
	for piece := range slices.Chunk(u.Data, MaxPieceBytes) {
		p.Update.Blocks = append(p.Update.Blocks, manifest.SumCID(manifest.Raw, piece))
	}
	e.root.Publishers = append(e.root.Publishers, p)
	return nil
}

// addRelease plans one release:
//
//	what the destination holds of this model: files, blocks, chunks by digest
//	for each file:  it holds it, or every chunk of it:  nothing comes
//	                a delta is smaller than the missing chunks:  the delta
//	                otherwise:  the missing chunks
func (e *exporter) addRelease(ctx context.Context, choice Choice) error {
	data, err := e.c.Source.Block(choice.Manifest)
	if err != nil {
		return err
	}
	m := new(manifest.Manifest)
	if err := manifest.Decode(data, m); err != nil {
		return fmt.Errorf("manifest %s: %w", choice.Manifest, err)
	}
	files, err := filesOf(m, choice.Variants)
	if err != nil {
		return err
	}
	there, err := e.holdings(choice.Model)
	if err != nil {
		return err
	}
	rel := Release{
		Model: choice.Model, Version: choice.Version, Sequence: choice.Sequence, Manifest: choice.Manifest,
		Variants: choice.Variants, Files: make([]File, 0, len(files)),
	}
	var blocks []manifest.CID
	w := newWalker(func(c manifest.CID) ([]byte, error) {
		if !there.blocks[c] {
			blocks = append(blocks, c)
		}
		return e.c.Source.Block(c)
	})
	if _, _, err := w.block(choice.Manifest); err != nil {
		return err
	}
	for _, f := range files {
		if err := w.file(f.ID(), f.Size); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		planned, err := e.addFile(ctx, m, f, there)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		rel.Files = append(rel.Files, planned)
	}
	rel.Blocks = uint32(len(blocks))
	e.root.Releases, e.blocks = append(e.root.Releases, rel), append(e.blocks, blocks)
	return nil
}

// addFile plans one file and makes its delta if there is to be one.
func (e *exporter) addFile(ctx context.Context, m *manifest.Manifest, f manifest.File, there *holdings) (File, error) {
	planned := File{ID: f.ID(), Size: f.Size}
	if there.files[f.ID()] {
		return planned, nil
	}
	what, err := describe(f.ID(), f.Size, e.c.Source.Block)
	if err != nil {
		return planned, err
	}
	missing := there.lacks(what)
	if len(missing) == 0 {
		return planned, nil
	}
	chunks := &Chunks{Ranges: missing}
	t := findTwins(what.digests, missing)
	for i := range missing.All() {
		if !t.repeats(i) {
			_, n := what.chunks.At(i)
			chunks.Blocks, chunks.Bytes = chunks.Blocks+1, chunks.Bytes+uint64(n)
		}
	}
	if e.c.Encoder != nil && chunks.Bytes >= deltaLeast {
		bases := e.c.Encoder.Bases(m.Model, variantOf(m, f), f, there.order)
		if len(bases) > 0 {
			if planned.Delta, err = e.makeDelta(ctx, f, bases[0], chunks.Bytes); err != nil || planned.Delta != nil {
				return planned, err
			}
		}
	}
	planned.Chunks = chunks
	return planned, nil
}

// variantOf returns the name of the first variant that has the file; empty for
// the golden set and the report.
func variantOf(m *manifest.Manifest, f manifest.File) string {
	for _, v := range m.Variants {
		for _, o := range v.Files {
			if o.Path == f.Path && o.ID() == f.ID() {
				return v.Name
			}
		}
	}
	return ""
}

// write writes all sections.
func (e *exporter) write(ctx context.Context, out *sectionWriter, root manifest.Block) error {
	head, err := encodeHeader(root.CID)
	if err != nil {
		return err
	}
	if _, err := out.out.Write(head); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	out.bytes += uint64(len(head))
	if err := out.write(root.CID, root.Data); err != nil {
		return err
	}
	for i, p := range e.root.Publishers {
		rest := e.c.Updates[i].Data
		for _, c := range p.Update.Blocks {
			n := min(MaxPieceBytes, len(rest))
			if err := out.write(c, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	var total uint64
	for _, rel := range e.root.Releases {
		for _, f := range rel.Files {
			total += f.Bytes()
		}
	}
	wr := &contentWriter{e: e, out: out, total: total}
	for i, rel := range e.root.Releases {
		for _, c := range e.blocks[i] {
			data, err := e.c.Source.Block(c)
			if err == nil {
				err = out.write(c, data)
			}
			if err != nil {
				return err
			}
		}
		for _, f := range rel.Files {
			if err := wr.file(ctx, f); err != nil {
				return err
			}
		}
	}
	if err := out.out.Flush(); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}

// contentWriter writes the sections of files.
type contentWriter struct {
	e     *exporter
	out   *sectionWriter
	total uint64
	done  uint64
	spool int64 // where the next delta lies
	buf   []byte
}

func (w *contentWriter) file(ctx context.Context, f File) error {
	switch {
	case f.Chunks != nil:
		return w.chunks(ctx, f)
	case f.Delta != nil:
		return w.delta(ctx, f)
	}
	return nil
}

func (w *contentWriter) chunks(ctx context.Context, f File) error {
	what, err := describe(f.ID, f.Size, w.e.c.Source.Block)
	if err != nil {
		return err
	}
	t := findTwins(what.digests, f.Chunks.Ranges)
	for i := range f.Chunks.Ranges.All() {
		if t.repeats(i) {
			continue
		}
		data, err := w.e.c.Source.Chunk(ctx, f.ID, i, w.buf)
		if err != nil {
			return err
		}
		if cap(data) > cap(w.buf) {
			w.buf = data
		}
		if err := w.section(what.digests[i].CID(manifest.Raw), data); err != nil {
			return err
		}
	}
	return nil
}

func (w *contentWriter) delta(ctx context.Context, f File) error {
	if len(w.buf) < MaxPieceBytes {
		w.buf = make([]byte, MaxPieceBytes)
	}
	left := f.Delta.Pieces.Bytes
	for _, c := range f.Delta.Pieces.Blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		data := w.buf[:min(MaxPieceBytes, left)]
		if _, err := w.e.spool.ReadAt(data, w.spool); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read delta: %w", err)
		}
		if err := c.Verify(data); err != nil {
			return fmt.Errorf("a delta changed on this disk: %w", err)
		}
		if err := w.section(c, data); err != nil {
			return err
		}
		w.spool, left = w.spool+int64(len(data)), left-uint64(len(data))
	}
	return nil
}

func (w *contentWriter) section(c manifest.CID, data []byte) error {
	w.done += uint64(len(data))
	w.e.told("writing", w.done, w.total)
	return w.out.write(c, data)
}
