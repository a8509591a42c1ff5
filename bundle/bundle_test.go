package bundle

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	blocks "github.com/ipfs/go-block-format"
	car "github.com/ipld/go-car/v2"
	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// twoReleases is a depot with two releases of a model: the second changes some
// bytes of the weights and keeps the rest.
func twoReleases(t testing.TB) (d *depot, c1, c2 Choice, f1, f2 []manifest.File) {
	t.Helper()
	d = newDepot()
	weights := random(1, 3_000_000)
	changed := bytes.Clone(weights)
	for i := 1_000_000; i < 1_400_000; i += 1000 {
		changed[i] ^= 0x55
	}
	// Equal chunks in one file: eight of zeros.
	zeros := make([]byte, 8*2*manifest.MinChunkBytes)
	same := d.add(t, "vocab.txt", random(2, 500))
	pad := d.add(t, "pad.bin", zeros)
	f1 = []manifest.File{d.add(t, "model.bin", weights), pad, same}
	f2 = []manifest.File{d.add(t, "model.bin", changed), pad, same}
	return d, d.release(t, "1", f1...), d.release(t, "2", f2...), f1, f2
}

// whole checks that a depot has got all files.
func whole(t *testing.T, from, to *depot, files []manifest.File) {
	t.Helper()
	for _, f := range files {
		what, err := describe(f.ID(), f.Size, from.Block)
		if err != nil {
			t.Fatal(err)
		}
		if got := to.content(f.ID(), what.chunks.Len()); !bytes.Equal(got, from.files[f.ID()]) {
			t.Errorf("%s did not arrive", f.Path)
		}
	}
}

func TestFullBundle(t *testing.T) {
	d, c1, _, f1, _ := twoReleases(t)
	update := random(3, MaxPieceBytes+10)
	config := ExportConfig{Source: d, Releases: []Choice{c1}, Updates: []Update{{Name: "acme", Fingerprint: manifest.Digest{1}, Data: update}}}
	data := export(t, config)
	if !bytes.Equal(data, export(t, config)) {
		t.Error("the same again gives other bytes")
	}
	r, err := Open(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Update(0); err != nil || !bytes.Equal(got, update) {
		t.Errorf("metadata: %d bytes, %v", len(got), err)
	}
	to := newDepot()
	reports, err := take(t.Context(), data, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, d, to, f1)
	if pad := reports[1]; pad.Chunks != 8 {
		t.Errorf("of equal chunks %d are stored", pad.Chunks)
	}
	if pad := r.Root().Releases[0].Files[1]; pad.Chunks.Blocks != 1 {
		t.Errorf("equal chunks have %d sections", pad.Chunks.Blocks)
	}
	// What is there is gone over.
	put := to.put
	if reports, err = take(t.Context(), data, to, nil); err != nil || to.put != put || reports[0].Held == 0 {
		t.Errorf("a second import stores %d chunks again: %+v, %v", to.put-put, reports, err)
	}
}

// A delta where it is smaller, the missing chunks where it is not, nothing for
// what is there.
func TestBundleForAState(t *testing.T) {
	d, c1, c2, f1, f2 := twoReleases(t)
	for name, encoder := range map[string]Encoder{"with deltas": &xorCoder{from: d}, "chunks only": nil} {
		t.Run(name, func(t *testing.T) {
			data := export(t, ExportConfig{Source: d, Releases: []Choice{c2}, State: state(c1, f1...), Encoder: encoder})
			r, err := Open(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			for k, f := range r.Root().Releases[0].Files {
				comes := f.Chunks != nil || f.Delta != nil
				if comes != (k == 0) || (f.Delta != nil) != (comes && encoder != nil) {
					t.Errorf("file %d comes as %+v", k, f)
				}
			}
			to := newDepot()
			to.files = map[manifest.FileID][]byte{f1[0].ID(): d.files[f1[0].ID()]}
			// What Begin does: equal chunks are taken from where they lie, and all
			// blocks of what is held are here.
			for c, b := range d.blocks {
				if c != c2.Manifest {
					to.blocks[c] = b
				}
			}
			id := f2[0].ID()
			delete(to.blocks, id.Digests)
			takeEqual(t, d, to, f1[0], f2[0])
			before := to.put
			if _, err := take(t.Context(), data, to, &xorCoder{to: to}); err != nil {
				t.Fatal(err)
			}
			whole(t, d, to, f2[:1])
			t.Logf("%d bytes, %d chunks stored", len(data), to.put-before)
			if len(data) > 700_000 {
				t.Errorf("it has %d bytes", len(data))
			}
		})
	}
}

// takeEqual gives a depot the chunks of next that are those of old.
func takeEqual(t *testing.T, d, to *depot, old, next manifest.File) {
	t.Helper()
	a, err := describe(old.ID(), old.Size, d.Block)
	if err != nil {
		t.Fatal(err)
	}
	b, err := describe(next.ID(), next.Size, d.Block)
	if err != nil {
		t.Fatal(err)
	}
	to.held[next.ID()] = map[int][]byte{}
	for i, digest := range b.digests {
		if slices.Contains(a.digests, digest) {
			offset, n := b.chunks.At(i)
			to.held[next.ID()][i] = d.files[next.ID()][offset:][:n]
		}
	}
}

// The tools of others read a bundle: go-car verifies every block, and none has
// 2 MiB.
func TestGoCarReadsIt(t *testing.T) {
	d, c1, c2, f1, _ := twoReleases(t)
	update := []Update{{Name: "acme", Fingerprint: manifest.Digest{1}, Data: random(3, 2*MaxPieceBytes)}}
	for name, config := range map[string]ExportConfig{
		"full":  {Source: d, Releases: []Choice{c1}, Updates: update},
		"delta": {Source: d, Releases: []Choice{c2}, Updates: update, State: state(c1, f1...), Encoder: &xorCoder{from: d}},
	} {
		t.Run(name, func(t *testing.T) {
			data := export(t, config)
			r, err := car.NewBlockReader(bytes.NewReader(data), car.WithTrustedCAR(false), car.MaxAllowedHeaderSize(maxHeaderBytes), car.MaxAllowedSectionSize(manifest.MaxBlockBytes))
			if err != nil {
				t.Fatal(err)
			}
			if r.Version != 1 || len(r.Roots) != 1 {
				t.Fatalf("version %d, roots %v", r.Version, r.Roots)
			}
			var all []blocks.Block
			for {
				b, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("after %d blocks: %v", len(all), err)
				}
				if sum, err := b.Cid().Prefix().Sum(b.RawData()); err != nil || !sum.Equals(b.Cid()) || len(b.RawData()) >= 2<<20 {
					t.Errorf("block %s of %d bytes: %v", b.Cid(), len(b.RawData()), err)
				}
				all = append(all, b)
			}
			if !all[0].Cid().Equals(r.Roots[0]) {
				t.Error("the root does not come first")
			}
			var root Root
			if err := manifest.Decode(all[0].RawData(), &root); err != nil {
				t.Fatal(err)
			}
			want := 1 + len(root.Publishers[0].Update.Blocks) + int(root.Releases[0].Blocks)
			for _, f := range root.Releases[0].Files {
				want += f.sections()
			}
			if len(all) != want {
				t.Errorf("%d blocks, the root tells of %d", len(all), want)
			}
			inspect, err := car.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			stats, err := inspect.Inspect(true)
			if err != nil || !stats.RootsPresent || int(stats.BlockCount) != want {
				t.Errorf("inspected: %+v, %v", stats, err)
			}
		})
	}
}

// Whatever a site holds of a file, it has it whole after the import of what was
// made for it.
func TestAnyStateGetsWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDepot()
		pieces := make([][]byte, 6)
		for i := range pieces {
			pieces[i] = random(byte(i), 2*manifest.MinChunkBytes)
		}
		content := func(label string) (out []byte) {
			for _, k := range rapid.SliceOfN(rapid.IntRange(0, len(pieces)-1), 1, 12).Draw(rt, label) {
				out = append(out, pieces[k]...)
			}
			return append(out, random(9, rapid.IntRange(0, 1000).Draw(rt, label+"tail"))...)
		}
		old := d.add(t, "a.bin", content("old"))
		next := d.add(t, "a.bin", content("next"))
		c1, c2 := d.release(t, "1", old), d.release(t, "2", next)
		var encoder Encoder
		if rapid.Bool().Draw(rt, "deltas") {
			encoder = &xorCoder{from: d}
		}
		data := export(t, ExportConfig{Source: d, Releases: []Choice{c2}, State: state(c1, old), Encoder: encoder})
		to := newDepot()
		to.blocks = d.blocks
		to.files[old.ID()] = d.files[old.ID()]
		takeEqual(t, d, to, old, next)
		if old.ID() == next.ID() {
			return
		}
		if _, err := take(t.Context(), data, to, &xorCoder{to: to}); err != nil {
			rt.Fatal(err)
		}
		what, err := describe(next.ID(), next.Size, d.Block)
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(to.content(next.ID(), what.chunks.Len()), d.files[next.ID()]) {
			rt.Fatal("the file is not whole")
		}
	})
}

// Of more spans than a root may list, gaps are filled and nothing is left out.
func TestManySpansAreJoined(t *testing.T) {
	h := &holdings{chunks: map[manifest.Digest]bool{}}
	what := chunked{digests: make([]manifest.Digest, 6*maxSpans)}
	for i := range what.digests {
		what.digests[i] = manifest.SumDigest([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		if i%2 == 0 {
			h.chunks[what.digests[i]] = true
		}
	}
	missing := h.lacks(what)
	if len(missing) > maxSpans || missing.Validate() != nil {
		t.Fatalf("%d spans, %v", len(missing), missing.Validate())
	}
	for i := range what.digests {
		if i%2 == 1 && !missing.Contains(i) {
			t.Fatalf("chunk %d is left out", i)
		}
	}
}
