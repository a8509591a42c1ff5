package store

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
	"pgregory.net/rapid"
)

func sampleRecord() *releaseRecord {
	r := Release{Model: "acme/vad", Version: "1.0", Sequence: 3, Manifest: manifest.SumCID(manifest.DagCBOR, []byte("m"))}
	return &releaseRecord{
		Schema: recordSchema, Release: r, Dir: dirOf(r),
		Variants: []variantRecord{{Name: Golden}, {Name: "default", External: "/srv/models"}},
		Pins:     []Pin{PinActive, PinPublished},
	}
}

func sampleCopy() *copyRecord {
	link := manifest.SumCID(manifest.DagCBOR, nil)
	return &copyRecord{
		Schema: recordSchema, File: manifest.FileID{Layout: link, Digests: link}, Size: 10, Chunks: 1,
		Names: []string{"models/acme/vad/1-x/default/m"}, Indexed: true,
	}
}

func TestRecordsRefused(t *testing.T) {
	for want, edit := range map[string]func(*releaseRecord){
		"schema 2":     func(r *releaseRecord) { r.Schema = 2 },
		"folder":       func(r *releaseRecord) { r.Dir = "models/acme/vad/../../../etc" },
		"folder ":      func(r *releaseRecord) { r.Dir = "models/acme/tts/1.0-x" },
		"folder  ":     func(r *releaseRecord) { r.Dir = "models/acme/vad/1/2" },
		"out of order": func(r *releaseRecord) { r.Variants[1].Name = Golden },
		"variant":      func(r *releaseRecord) { r.Variants[1].Name = "a/b" },
		"invalid name": func(r *releaseRecord) { r.Variants[1].Name = ".z" },
		"outside":      func(r *releaseRecord) { r.Variants[1].External = "relative" },
		"pin":          func(r *releaseRecord) { r.Pins[0] = "favourite" },
		"no dag-cbor":  func(r *releaseRecord) { r.Release.Manifest = manifest.CID{} },
	} {
		r := sampleRecord()
		edit(r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for want, edit := range map[string]func(*copyRecord){
		"schema 2":     func(c *copyRecord) { c.Schema = 2 },
		"chunks":       func(c *copyRecord) { c.Chunks = 11 },
		"chunks ":      func(c *copyRecord) { c.Chunks = 0 },
		"bytes":        func(c *copyRecord) { c.Size = manifest.MaxFileBytes + 1 },
		"outside":      func(c *copyRecord) { c.External = "relative" },
		"with name":    func(c *copyRecord) { c.Names[0] = "models/../../etc/passwd" },
		"with name ":   func(c *copyRecord) { c.Names[0] = "index/MANIFEST" },
		"1025 names":   func(c *copyRecord) { c.Names = make([]string, maxCopyNames+1) },
		"with name   ": func(c *copyRecord) { c.Names[0] = "/etc/passwd" },
	} {
		c := sampleCopy()
		edit(c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestBitmap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 3000).Draw(t, "chunks")
		b := newBitmap(n)
		var want manifest.Ranges
		for range rapid.IntRange(0, 50).Draw(t, "edits") {
			if n == 0 {
				break
			}
			from := rapid.IntRange(0, n-1).Draw(t, "from")
			to := rapid.IntRange(from, min(n, from+200)).Draw(t, "to")
			on := rapid.Bool().Draw(t, "on")
			for i := from; i < to; i++ {
				if on {
					b.set(i)
				} else {
					b.clear(i)
				}
			}
			if span := manifest.NewRanges(from, to); on {
				want = want.Union(span)
			} else {
				want = want.Minus(span)
			}
		}
		got := b.ranges()
		if got.String() != want.String() || b.count() != want.Count() || got.Validate() != nil {
			t.Fatalf("got %v (%d), want %v", got, b.count(), want)
		}
		b.fill(n)
		b.trim(n / 2)
		if got := b.ranges(); got.String() != manifest.NewRanges(0, n/2).String() {
			t.Fatalf("filled and trimmed: %v", got)
		}
	})
}

func fuzzRecord[T any, P interface {
	*T
	manifest.Validator
}](f *testing.F, seed P) {
	block, err := manifest.Encode(seed)
	must(f, err)
	f.Add(block.Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		v := P(new(T))
		if manifest.Decode(data, v) != nil {
			return
		}
		again, err := manifest.Encode(v)
		if err != nil || !bytes.Equal(again.Data, data) {
			t.Fatalf("accepted %x, re-encodes to %x: %v", data, again.Data, err)
		}
	})
}

func FuzzReleaseRecord(f *testing.F) { fuzzRecord(f, sampleRecord()) }
func FuzzCopyRecord(f *testing.F)    { fuzzRecord(f, sampleCopy()) }
func FuzzWantRecord(f *testing.F) {
	fuzzRecord(f, &wantRecord{recordSchema, sampleRecord().Release})
}

func FuzzIndexValues(f *testing.F) {
	f.Add(heldCount{3, 1 << 40}.encode())
	f.Add(place{1 << 40, 1 << 20}.encode())
	f.Add([]byte{0x80, 0x00, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := decodeHeld(data); err == nil && !bytes.Equal(h.encode(), data) {
			t.Fatalf("accepted %x as %+v", data, h)
		}
		p, err := decodePlace(data)
		if err != nil {
			return
		}
		if !bytes.Equal(p.encode(), data) || p.offset+p.length > manifest.MaxFileBytes {
			t.Fatalf("accepted %x as %+v", data, p)
		}
	})
}
