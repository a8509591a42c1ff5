package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// section is one section of a bundle that a test takes apart.
type section struct {
	cid  manifest.CID
	data []byte
}

// apart takes a bundle apart.
func apart(t testing.TB, data []byte) (root *Root, sections []section) {
	t.Helper()
	s, err := newSectionReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.header(); err != nil {
		t.Fatal(err)
	}
	for {
		c, _, err := s.peek()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := s.take(nil)
		if err != nil {
			t.Fatal(err)
		}
		sections = append(sections, section{c, data})
	}
	root = new(Root)
	if err := manifest.Decode(sections[0].data, root); err != nil {
		t.Fatal(err)
	}
	return root, sections[1:]
}

// together makes a file of a root, whatever it says, and sections.
func together(t testing.TB, root *Root, sections []section) []byte {
	t.Helper()
	data, err := manifest.Marshal(root, manifest.MaxBlockBytes)
	if err != nil {
		t.Fatal(err)
	}
	return raw(t, data, sections)
}

func raw(t testing.TB, root []byte, sections []section) []byte {
	t.Helper()
	c := manifest.SumCID(manifest.DagCBOR, root)
	out, err := encodeHeader(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append([]section{{c, root}}, sections...) {
		out = binary.AppendUvarint(out, uint64(cidBytes+len(s.data)))
		out = append(append(out, s.cid.Bytes()...), s.data...)
	}
	return out
}

func rawSection(data []byte) section { return section{manifest.SumCID(manifest.Raw, data), data} }

// A bundle that was cut short anywhere is refused, and says so.
func TestCutShort(t *testing.T) {
	d := newDepot()
	f := d.add(t, "a.bin", random(1, 200_000))
	data := export(t, ExportConfig{Source: d, Releases: []Choice{d.release(t, "1", f)}, Updates: []Update{{Name: "acme", Data: []byte("x")}}})
	for n := 0; n < len(data); n += 1 + n/50 {
		if _, err := take(t.Context(), data[:n], newDepot(), nil); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(data), err)
		}
	}
}

// A flipped bit anywhere is noticed, and nothing wrong is stored.
func TestFlippedBits(t *testing.T) {
	d := newDepot()
	f := d.add(t, "a.bin", random(1, 200_000))
	data := export(t, ExportConfig{Source: d, Releases: []Choice{d.release(t, "1", f)}})
	for at := 0; at < len(data); at += 1 + at/40 {
		bad := bytes.Clone(data)
		bad[at] ^= 4
		to := newDepot()
		if _, err := take(t.Context(), bad, to, nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("bit of byte %d: %v", at, err)
		}
		for id, chunks := range to.held { // PutChunk compares; the file is the right one
			if id != f.ID() && len(chunks) > 0 {
				t.Errorf("bit of byte %d: chunks of another file are stored", at)
			}
		}
	}
}

// What a liar may write, with CIDs that hold: every case is an error that says
// what is wrong, and costs little.
func TestLies(t *testing.T) {
	d, c1, c2, f1, f2 := twoReleases(t)
	full := export(t, ExportConfig{Source: d, Releases: []Choice{c2}, Updates: []Update{{Name: "acme", Data: []byte("update")}}})
	update := export(t, ExportConfig{Source: d, Releases: []Choice{c2}, State: state(c1, f1...), Encoder: &xorCoder{from: d}})
	// A delta of a few bytes that makes 4 GiB.
	bomb := rawSection([]byte{0xff, 0xff, 0xff, 0xff, 0})
	withDelta := func(root *Root, s section, bytes uint64) {
		f := &root.Releases[0].Files[0]
		f.Delta.Pieces = Pieces{Bytes: bytes, Blocks: []manifest.CID{s.cid}}
	}
	for name, tt := range map[string]struct {
		of  []byte
		lie func(root *Root, s []section) []section
	}{
		"a section twice":        {full, func(_ *Root, s []section) []section { return slices.Insert(s, 3, s[2]) }},
		"a section left out":     {full, func(_ *Root, s []section) []section { return slices.Delete(s, 4, 5) }},
		"sections exchanged":     {full, func(_ *Root, s []section) []section { s[8], s[9] = s[9], s[8]; return s }},
		"a section at the end":   {full, func(_ *Root, s []section) []section { return append(s, rawSection([]byte("more"))) }},
		"the root inside":        {full, func(r *Root, s []section) []section { return append(s, s[0]) }},
		"an empty section":       {full, func(_ *Root, s []section) []section { return slices.Insert(s, 1, rawSection(nil)) }},
		"more blocks than told":  {full, func(r *Root, s []section) []section { r.Releases[0].Blocks++; return s }},
		"fewer blocks than told": {full, func(r *Root, s []section) []section { r.Releases[0].Blocks--; return s }},
		"more chunks than there are": {full, func(r *Root, s []section) []section {
			r.Releases[0].Files[0].Chunks.Ranges = manifest.NewRanges(0, 1000)
			return s
		}},
		"fewer chunks than told": {full, func(r *Root, s []section) []section { r.Releases[0].Files[0].Chunks.Blocks--; return s }},
		"another model":          {full, func(r *Root, s []section) []section { r.Releases[0].Model = "acme/other"; return s }},
		"a foreign file": {full, func(r *Root, s []section) []section {
			r.Releases[0].Files[0].ID = f1[0].ID()
			return s
		}},
		"a file left out":    {full, func(r *Root, s []section) []section { r.Releases[0].Files = r.Releases[0].Files[1:]; return s }},
		"another size":       {full, func(r *Root, s []section) []section { r.Releases[0].Files[0].Size++; return s }},
		"an unknown variant": {full, func(r *Root, s []section) []section { r.Releases[0].Variants = []string{"int8"}; return s }},
		"a variant twice": {full, func(r *Root, s []section) []section {
			r.Releases[0].Variants = []string{"default", "default"}
			return s
		}},
		"a model twice":          {full, func(r *Root, s []section) []section { r.Releases = append(r.Releases, r.Releases[0]); return s }},
		"a newer schema":         {full, func(r *Root, s []section) []section { r.Schema++; return s }},
		"endless metadata":       {full, func(r *Root, s []section) []section { r.Publishers[0].Update.Bytes = 1 << 60; return s }},
		"longer metadata":        {full, func(r *Root, s []section) []section { r.Publishers[0].Update.Bytes++; return s }},
		"a full one with a hole": {full, func(r *Root, s []section) []section { r.Releases[0].Files[0].Chunks = nil; return s }},
		"a delta called full":    {update, func(r *Root, s []section) []section { r.Full = true; return s }},
		"its own basis":          {update, func(r *Root, s []section) []section { r.Releases[0].Files[0].Delta.Basis = f2[0].ID(); return s }},
		"a delta that explodes": {update, func(r *Root, s []section) []section {
			withDelta(r, bomb, uint64(len(bomb.data)))
			return append(s[:len(s)-1], bomb)
		}},
		"a delta of something else": {update, func(r *Root, s []section) []section {
			other := rawSection(random(7, 300))
			other.data[0], other.data[1] = 0, 0
			other = rawSection(other.data)
			withDelta(r, other, 300)
			return append(s[:len(s)-1], other)
		}},
		"a piece of another length": {update, func(r *Root, s []section) []section { r.Releases[0].Files[0].Delta.Pieces.Bytes--; return s }},
	} {
		t.Run(name, func(t *testing.T) {
			root, sections := apart(t, tt.of)
			data := together(t, root, tt.lie(root, slices.Clone(sections)))
			to := newDepot()
			if bytes.Equal(tt.of, update) {
				maps.Copy(to.blocks, d.blocks)
				to.files = map[manifest.FileID][]byte{f1[0].ID(): d.files[f1[0].ID()]}
			}
			_, err := take(t.Context(), data, to, &xorCoder{to: to})
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("taken: %v", err)
			}
			t.Log(err)
		})
	}
}

// Headers that are none of a bundle.
func TestHeaders(t *testing.T) {
	root := manifest.SumCID(manifest.DagCBOR, []byte{0xa0})
	good, err := encodeHeader(root)
	if err != nil {
		t.Fatal(err)
	}
	marshal := func(h any) []byte {
		data, err := manifest.Marshal(h, maxHeaderBytes)
		if err != nil {
			t.Fatal(err)
		}
		return append(binary.AppendUvarint(nil, uint64(len(data))), data...)
	}
	for name, data := range map[string][]byte{
		"nothing": nil,
		"text":    []byte("hello, this is no CAR file at all, it is a letter"),
		"version 2": append(marshal(struct {
			Version uint64 `cbor:"version"`
		}{2}), make([]byte, 40)...),
		"version 3":          marshal(header{[]manifest.CID{root}, 3}),
		"no root":            marshal(header{[]manifest.CID{}, 1}),
		"two roots":          marshal(header{[]manifest.CID{root, root}, 1}),
		"a raw root":         marshal(header{[]manifest.CID{manifest.SumCID(manifest.Raw, nil)}, 1}),
		"a huge length":      append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, good...),
		"an endless length":  bytes.Repeat([]byte{0x80}, 64),
		"a padded length":    append([]byte{good[0] | 0x80, 0}, good[1:]...),
		"header and no more": good,
		"a root of others":   append(bytes.Clone(good), raw(t, []byte{0xa0}, nil)[len(good):]...),
		"a huge section":     binary.AppendUvarint(bytes.Clone(good), manifest.MaxBlockBytes+cidBytes+1),
		"a section of 0":     append(bytes.Clone(good), 0),
		"a short section":    append(bytes.Clone(good), 5, 1, 2, 3, 4, 5),
	} {
		if _, err := Open(bytes.NewReader(data)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A failure of the disk or of the caller's patience is no fault of the bundle,
// and a second import goes on.
func TestFailuresOfThisEnd(t *testing.T) {
	d := newDepot()
	f := d.add(t, "a.bin", random(1, 400_000))
	data := export(t, ExportConfig{Source: d, Releases: []Choice{d.release(t, "1", f)}})
	to := newDepot()
	to.lose = true
	if _, err := take(t.Context(), data, to, nil); !errors.Is(err, errDisk) || errors.Is(err, ErrMalformed) {
		t.Errorf("full disk: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := take(ctx, data, to, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	to.lose = false
	if _, err := take(t.Context(), data, to, nil); err != nil {
		t.Errorf("again: %v", err)
	}
	// A basis that is not here: the file is gone over, the rest can come.
	_, c1, c2, f1, _ := twoReleases(t)
	big, _, _, _, _ := twoReleases(t)
	update := export(t, ExportConfig{Source: big, Releases: []Choice{c2}, State: state(c1, f1...), Encoder: &xorCoder{from: big}})
	to = newDepot()
	to.blocks = big.blocks
	r, err := Open(bytes.NewReader(update))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Blocks(t.Context(), 0, to); err != nil {
		t.Fatal(err)
	}
	if _, err := r.File(t.Context(), 0, 0, to, &xorCoder{to: to}, nil); !errors.Is(err, ErrLacks) {
		t.Errorf("without the basis: %v", err)
	}
	if err := errors.Join(r.SkipFile(0, 1), r.SkipFile(0, 2), r.End()); err != nil {
		t.Errorf("after that: %v", err)
	}
	// A release can be gone over whole.
	if r, err = Open(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.SkipRelease(0), r.End()); err != nil {
		t.Errorf("gone over: %v", err)
	}
}

func TestStates(t *testing.T) {
	id := manifest.SumCID(manifest.DagCBOR, []byte{0xa0}).String()
	file := `{"layout":"` + id + `","digests":"` + id + `","size":1}`
	held := `{"model":"acme/m","version":"1","sequence":1,"manifest":"` + id + `","files":[` + file + `]}`
	good := `{"schema":1,"node":"x","made":"2026-11-24T00:00:00Z","publishers":[],"releases":[` + held + `]}`
	s, err := ParseState([]byte(good))
	if err != nil || len(s.Of("acme/m")) != 1 || len(s.Of("acme/x")) != 0 || !s.Holds(s.Releases[0].Files[0].FileID) {
		t.Errorf("%+v, %v", s, err)
	}
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "hello", "more": good + "{}", "unknown": `{"schema":1,"x":1}`, "schema": `{"schema":2}`,
		"model":   `{"schema":1,"releases":[{"model":"../x","version":"1"}]}`,
		"file":    `{"schema":1,"releases":[{"model":"a/x","version":"1","files":[{"size":1}]}]}`,
		"too big": string(make([]byte, MaxStateBytes+1)),
	} {
		if _, err := ParseState([]byte(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What decodes as a root is within bounds and encodes to the same bytes.
func FuzzRoot(f *testing.F) {
	d := newDepot()
	old, next := random(1, 200_000), random(1, 200_000)
	next[150_000] ^= 1
	f1, f2 := d.add(f, "a.bin", old), d.add(f, "a.bin", next)
	c1, c2 := d.release(f, "1", f1), d.release(f, "2", f2)
	for _, c := range []ExportConfig{
		{Source: d, Releases: []Choice{c1}, Updates: []Update{{Name: "acme", Data: []byte("x")}}},
		{Source: d, Releases: []Choice{c2}, State: state(c1, f1)},
		{Source: d, Releases: []Choice{c2}, State: state(c1, f1), Encoder: &xorCoder{from: d}},
	} {
		root, _ := apart(f, export(f, c))
		f.Add(encode(f, root).Data)
	}
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var root Root
		if manifest.Decode(data, &root) != nil {
			return
		}
		if again := encode(t, &root); !bytes.Equal(again.Data, data) {
			t.Errorf("%x encodes to %x", data, again.Data)
		}
		for _, rel := range root.Releases {
			for _, file := range rel.Files {
				if file.Bytes() > manifest.MaxFileBytes {
					t.Errorf("%d bytes of a file", file.Bytes())
				}
			}
		}
	})
}

// FuzzImport reads any file, and any root before the sections of a good bundle:
// it ends, with an error that blames somebody, or with what was exported.
func FuzzImport(f *testing.F) {
	d := newDepot()
	file := d.add(f, "a.bin", random(1, 200_000))
	good := export(f, ExportConfig{Source: d, Releases: []Choice{d.release(f, "1", file)}, Updates: []Update{{Name: "acme", Data: []byte("x")}}})
	root, sections := apart(f, good)
	f.Add(encode(f, root).Data, uint16(0), uint16(0))
	f.Add(good[:300], uint16(5), uint16(1))
	f.Fuzz(func(t *testing.T, data []byte, from, to uint16) {
		mixed := slices.Clone(sections)
		a, b := int(from)%len(mixed), int(to)%len(mixed)
		mixed[a], mixed[b] = mixed[b], mixed[a]
		for _, input := range [][]byte{data, raw(t, data[:min(len(data), manifest.MaxBlockBytes)], mixed)} {
			into := newDepot()
			_, err := take(t.Context(), input, into, &xorCoder{to: into})
			if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLacks) {
				t.Errorf("%v blames nobody", err)
			}
			for id, chunks := range into.held {
				if id != file.ID() && len(chunks) > 0 {
					t.Error("chunks of a file that nobody exported")
				}
			}
		}
	})
}
