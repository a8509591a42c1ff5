package manifest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/node/basicnode"

	"github.com/dunlin-mesh/dunlin/manifest"
)

func sampleFile(path string) manifest.File {
	link := manifest.SumCID(manifest.DagCBOR, []byte(path))
	return manifest.File{Path: path, Size: 5, SHA256: manifest.SumDigest([]byte(path)), Layout: link, Digests: link}
}

func sample() *manifest.Manifest {
	report := sampleFile("report.json")
	return &manifest.Manifest{
		Schema: manifest.Schema,
		Model:  "acme/vad",
		Variants: []manifest.Variant{
			{Name: "default", Format: "onnx", Precision: "f32", Files: []manifest.File{sampleFile("model.onnx"), sampleFile("model.onnx.data")}},
			{
				Name: "int8", Format: "onnx", Quantization: "dynamic", Files: []manifest.File{sampleFile("a/model.onnx")},
				Requires: &manifest.Requires{Arch: []string{"amd64"}, ISA: []string{"avx512vnni"}, MinMemoryBytes: 1 << 28},
			},
		},
		Golden:  []manifest.File{sampleFile("test_data_set_0/input_0.pb")},
		Report:  &report,
		Licence: "MIT",
	}
}

func TestManifestRoundTrip(t *testing.T) {
	block, err := manifest.Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	var got manifest.Manifest
	if err := manifest.Decode(block.Data, &got); err != nil {
		t.Fatal(err)
	}
	again, err := manifest.Encode(&got)
	if err != nil {
		t.Fatal(err)
	}
	if again.CID != block.CID || !bytes.Equal(again.Data, block.Data) {
		t.Error("a decoded manifest encodes to other bytes")
	}
	if err := block.CID.Verify(block.Data); err != nil {
		t.Error(err)
	}
	if err := block.CID.Verify(block.Data[1:]); !errors.Is(err, manifest.ErrContent) {
		t.Errorf("other bytes under the CID: %v, want ErrContent", err)
	}
}

// The encoding must never change: releases are signed over it.
func TestManifestCIDIsStable(t *testing.T) {
	block, err := manifest.Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	const want = "bafyreicqgcxpxesiicbxep5epzpasp2yhibto7jyaamqcz6us5jfguex7e"
	if got := block.CID.String(); got != want {
		t.Errorf("CID %s, want %s: a change of encoding breaks every signed release", got, want)
	}
}

// A Kubo user reads manifests with `ipfs dag get`: go-ipld-prime is the codec
// that Kubo uses, strict about dag-cbor.
func TestManifestIsDagCBOR(t *testing.T) {
	for name, v := range map[string]manifest.Validator{
		"manifest": sample(),
		"layout":   &manifest.Layout{Schema: 1, Format: "npy", Size: 10, Chunk: manifest.MinChunkBytes, Tensors: []manifest.Tensor{{Name: "w", DType: "i8", Shape: []uint64{8}, Offset: 2, Length: 8}}},
		"digests":  &manifest.DigestNode{Digests: make([]byte, 64)},
	} {
		block, err := manifest.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		builder := basicnode.Prototype.Any.NewBuilder()
		if err := dagcbor.Decode(builder, bytes.NewReader(block.Data)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var out bytes.Buffer
		if err := dagcbor.Encode(builder.Build(), &out); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), block.Data) {
			t.Errorf("%s: go-ipld-prime re-encodes it to other bytes", name)
		}
	}
}

func TestManifestRefused(t *testing.T) {
	tests := []struct {
		name string
		edit func(*manifest.Manifest)
		want string
	}{
		{"later schema", func(m *manifest.Manifest) { m.Schema = 2 }, "schema 2"},
		{"no model", func(m *manifest.Manifest) { m.Model = "" }, "publisher/name"},
		{"no variants", func(m *manifest.Manifest) { m.Variants = nil }, "0 variants"},
		{"twin variants", func(m *manifest.Manifest) { m.Variants[1].Name = "Default" }, "two variants"},
		{"no format", func(m *manifest.Manifest) { m.Variants[0].Format = "" }, "no format"},
		{"no files", func(m *manifest.Manifest) { m.Variants[0].Files = nil }, "0 files"},
		{"path up", func(m *manifest.Manifest) { m.Variants[1].Files[0].Path = "../x" }, "not clean"},
		{"absolute path", func(m *manifest.Manifest) { m.Variants[1].Files[0].Path = "/etc/passwd" }, "not clean"},
		{"backslash", func(m *manifest.Manifest) { m.Variants[1].Files[0].Path = `a\b` }, `'\\'`},
		{"device", func(m *manifest.Manifest) { m.Variants[1].Files[0].Path = "a/NUL.onnx" }, "every system"},
		{"order", func(m *manifest.Manifest) { f := m.Variants[0].Files; f[0], f[1] = f[1], f[0] }, "out of order"},
		{"letter case", func(m *manifest.Manifest) { m.Variants[0].Files[0].Path = "MODEL.onnx.data" }, "letter case"},
		{"file as folder", func(m *manifest.Manifest) { m.Variants[0].Files[1].Path = "model.onnx/data" }, "below another"},
		{"huge", func(m *manifest.Manifest) { m.Variants[0].Files[0].Size = 1 << 60 }, "at most"},
		{"sum", func(m *manifest.Manifest) {
			m.Variants[0].Files[0].Size, m.Variants[0].Files[1].Size = manifest.MaxFileBytes, 1
		}, "in sum"},
		{"raw layout", func(m *manifest.Manifest) { m.Report.Layout = manifest.SumCID(manifest.Raw, nil) }, "dag-cbor"},
		{"empty requirement", func(m *manifest.Manifest) { m.Variants[1].Requires.ISA = []string{""} }, "requirement"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := sample()
			tt.edit(m)
			_, err := manifest.Encode(m)
			if !errors.Is(err, manifest.ErrFormat) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrFormat with %q", err, tt.want)
			}
		})
	}
}

func TestDecodeIsStrict(t *testing.T) {
	block, err := manifest.Encode(&manifest.DigestNode{Digests: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":             {},
		"trailing byte":     append(bytes.Clone(block.Data), 0),
		"truncated":         block.Data[:len(block.Data)-1],
		"unknown field":     []byte("\xa1\x61x\x00"),
		"indefinite length": []byte("\xbf\xff"),
		"long integer form": []byte("\xb8\x00"),
		"null for a list":   []byte("\xa1\x65links\xf6"),
		"too large":         make([]byte, manifest.MaxBlockBytes+1),
		"deep":              bytes.Repeat([]byte{0x81}, 10000),
		"length that lies":  []byte("\xa1\x65links\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
	} {
		if err := manifest.Decode(data, &manifest.DigestNode{}); !errors.Is(err, manifest.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

func fuzzDecode[T any, P interface {
	*T
	manifest.Validator
}](f *testing.F, seeds ...P,
) {
	for _, seed := range seeds {
		block, err := manifest.Encode(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(block.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v := P(new(T))
		if manifest.Decode(data, v) != nil {
			return
		}
		block, err := manifest.Encode(v)
		if err != nil {
			t.Fatalf("accepted, but does not encode: %v", err)
		}
		if !bytes.Equal(block.Data, data) {
			t.Fatalf("accepted %x, re-encodes to %x", data, block.Data)
		}
	})
}

func FuzzManifest(f *testing.F)   { fuzzDecode(f, sample()) }
func FuzzDigestNode(f *testing.F) { fuzzDecode(f, &manifest.DigestNode{Digests: make([]byte, 64)}) }
func FuzzLayout(f *testing.F) {
	fuzzDecode(f, &manifest.Layout{
		Schema: 1, Format: "npy", Size: 200, Chunk: manifest.MinChunkBytes,
		Tensors: []manifest.Tensor{{Name: "w", DType: "f32", Shape: []uint64{2, 3}, Offset: 128, Length: 24}},
	}, &manifest.Layout{Schema: 1, Format: "bytes", Size: manifest.MinChunkBytes + 1, Chunk: manifest.MinChunkBytes, Cuts: []uint32{manifest.MinChunkBytes, 1}})
}

func FuzzParseCID(f *testing.F) {
	f.Add(manifest.SumCID(manifest.DagCBOR, nil).String())
	f.Add("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := manifest.ParseCID(text)
		if err != nil {
			return
		}
		if again, err := manifest.CIDFromBytes(c.Bytes()); err != nil || again != c {
			t.Fatalf("%s does not survive its binary form: %v", c, err)
		}
	})
}
