package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// depot is a store in memory: both where bundles come from and where they go.
type depot struct {
	blocks map[manifest.CID][]byte
	files  map[manifest.FileID][]byte         // whole, as a source
	held   map[manifest.FileID]map[int][]byte // what was put
	put    int                                // chunks
	lose   bool                               // fail every PutChunk from now on
}

var (
	errGone = errors.New("not here")
	errDisk = errors.New("the disk is gone")
)

func newDepot() *depot {
	return &depot{blocks: map[manifest.CID][]byte{}, files: map[manifest.FileID][]byte{}, held: map[manifest.FileID]map[int][]byte{}}
}

func (d *depot) Block(c manifest.CID) ([]byte, error) {
	if data, ok := d.blocks[c]; ok {
		return data, nil
	}
	return nil, errGone
}

func (d *depot) PutBlock(b manifest.Block) error {
	if err := b.CID.Verify(b.Data); err != nil {
		return err
	}
	d.blocks[b.CID] = bytes.Clone(b.Data)
	return nil
}

func (d *depot) Chunk(_ context.Context, id manifest.FileID, i int, _ []byte) ([]byte, error) {
	what, err := describe(id, uint64(len(d.files[id])), d.Block)
	if err != nil {
		return nil, err
	}
	offset, n := what.chunks.At(i)
	return d.files[id][offset:][:n], nil
}

func (d *depot) Held(id manifest.FileID) (r manifest.Ranges, _ error) {
	for i := range d.held[id] {
		r = r.Add(i)
	}
	return r, nil
}

func (d *depot) PutChunk(_ context.Context, id manifest.FileID, i int, data []byte) error {
	if d.lose {
		return errDisk
	}
	layout := new(manifest.Layout)
	if err := manifest.Decode(d.blocks[id.Layout], layout); err != nil {
		return err
	}
	what, err := describe(id, layout.Size, d.Block)
	if err != nil {
		return err
	}
	if manifest.SumDigest(data) != what.digests[i] {
		return fmt.Errorf("chunk %d: %w", i, manifest.ErrContent)
	}
	if d.held[id] == nil {
		d.held[id] = map[int][]byte{}
	}
	d.held[id][i] = bytes.Clone(data)
	d.put++
	return nil
}

// content returns what was put of a file, or nil if some is missing.
func (d *depot) content(id manifest.FileID, chunks int) []byte {
	var out []byte
	for i := range chunks {
		data, ok := d.held[id][i]
		if !ok {
			return nil
		}
		out = append(out, data...)
	}
	return out
}

// add makes a file of content and its blocks.
func (d *depot) add(t testing.TB, path string, content []byte) manifest.File {
	t.Helper()
	l := &manifest.Layout{Schema: manifest.LayoutSchema, Format: "bytes", Size: uint64(len(content)), Chunk: manifest.MinChunkBytes}
	chunks := l.Chunks()
	digests := make([]manifest.Digest, chunks.Len())
	for i := range digests {
		offset, n := chunks.At(i)
		digests[i] = manifest.SumDigest(content[offset:][:n])
	}
	root, blocks, err := manifest.BuildDigests(digests)
	if err != nil {
		t.Fatal(err)
	}
	layout := encode(t, l)
	for _, b := range append(blocks, layout) {
		if err := d.PutBlock(b); err != nil {
			t.Fatal(err)
		}
	}
	f := manifest.File{Path: path, Size: uint64(len(content)), SHA256: manifest.SumDigest(content), Layout: layout.CID, Digests: root}
	d.files[f.ID()] = content
	return f
}

func encode(t testing.TB, v manifest.Validator) manifest.Block {
	t.Helper()
	b, err := manifest.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// release makes a release of acme/m with one variant.
func (d *depot) release(t testing.TB, version string, files ...manifest.File) Choice {
	t.Helper()
	slices.SortFunc(files, func(a, b manifest.File) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	b := encode(t, &manifest.Manifest{Schema: manifest.Schema, Model: "acme/m", Variants: []manifest.Variant{
		{Name: "default", Format: "bytes", Files: files},
	}})
	if err := d.PutBlock(b); err != nil {
		t.Fatal(err)
	}
	return Choice{Model: "acme/m", Version: version, Sequence: 1, Manifest: b.CID, Variants: []string{"default"}}
}

// state says that somebody holds a release of files.
func state(c Choice, files ...manifest.File) *State {
	held := HeldRelease{Model: c.Model, Version: c.Version, Sequence: c.Sequence, Manifest: c.Manifest}
	for _, f := range files {
		held.Files = append(held.Files, HeldFile{f.ID(), f.Size})
	}
	return &State{Schema: Schema, Releases: []HeldRelease{held}}
}

func random(seed byte, n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(out)
	return out
}

// xorCoder makes deltas in the simplest of ways: the bytes that differ, with runs
// of equal ones counted. It decodes what it is given without any care.
type xorCoder struct{ from, to *depot }

func (c *xorCoder) Format() uint32 { return 7 }

func (c *xorCoder) Bases(_ manifest.Model, _ string, f manifest.File, held []manifest.FileID) []manifest.FileID {
	return slices.DeleteFunc(slices.Clone(held), func(id manifest.FileID) bool { return len(c.from.files[id]) != int(f.Size) })
}

func (c *xorCoder) Encode(_ context.Context, basis, file manifest.FileID, out io.Writer, _ func(done, total int64)) error {
	old, next := c.from.files[basis], c.from.files[file]
	var delta []byte
	for i := 0; i < len(next); {
		run := i
		for run < len(next) && next[run] == old[run] {
			run++
		}
		delta = binary.BigEndian.AppendUint32(delta, uint32(run-i))
		if run < len(next) {
			delta = append(delta, next[run])
			run++
		}
		i = run
	}
	_, err := out.Write(delta)
	return err
}

func (c *xorCoder) Decode(_ context.Context, f File, in io.Reader, out io.Writer) error {
	old, ok := c.to.files[f.Delta.Basis]
	if !ok {
		return fmt.Errorf("%w: no basis", ErrLacks)
	}
	for at := 0; ; {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		n := binary.BigEndian.Uint32(head[:])
		for range n { // however large it says it is
			if _, err := out.Write(old[at%len(old):][:1]); err != nil {
				return err
			}
			at++
		}
		var b [1]byte
		if n, err := io.ReadFull(in, b[:]); n == 1 {
			if _, err := out.Write(b[:]); err != nil {
				return err
			}
			at++
		} else if !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// export makes a bundle in memory.
func export(t testing.TB, c ExportConfig) []byte {
	t.Helper()
	c.Temp = t.TempDir()
	var out bytes.Buffer
	s, err := Export(t.Context(), c, &out)
	if err != nil {
		t.Fatal(err)
	}
	if s.Bytes != uint64(out.Len()) {
		t.Errorf("it says %d bytes, and has %d", s.Bytes, out.Len())
	}
	return out.Bytes()
}

// take imports everything, as node does, and returns what became of the files.
func take(ctx context.Context, data []byte, to *depot, d Decoder) (reports []FileReport, err error) {
	r, err := Open(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	for i := range r.Root().Publishers {
		if _, err := r.Update(i); err != nil {
			return nil, err
		}
	}
	for i, rel := range r.Root().Releases {
		if _, err := r.Blocks(ctx, i, to); err != nil {
			return nil, err
		}
		for k := range rel.Files {
			report, err := r.File(ctx, i, k, to, d, nil)
			reports = append(reports, report)
			if err != nil {
				return reports, err
			}
		}
	}
	return reports, r.End()
}
