package chunker_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/chunker"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// corpusFiles is what must be found in the corpus's real models: the format,
// the number of tensors, the least share of the file's bytes that lies in
// tensors of the element type, and the layout's CID, for ever.
var corpusFiles = []struct {
	path    string
	format  string
	tensors int
	dtype   manifest.DType
	share   float64
	cid     string
}{
	{"alexandria-1579k/04-2023-11-04/nn.net", "bytes", 0, "", 0, "bafyreibg3n5lg752pkw2z2jbemxi7zx5ebp3tam6bivr2yocufqlb75zlm"},
	{"alexandria-1579k/05-2023-11-04/nn.net", "bytes", 0, "", 0, "bafyreifq2w3cyzcjk5nj4an2525skhi7mwqoxcmyae36sbvi3sbj3nauoy"},
	{"berserk-3152k/01-2022-02-07/default.nn", "bytes", 0, "", 0, "bafyreihgrtjv5kjbitadqkz6r7kzsswkuzkqexglrbe6tpbtcuy364udgy"},
	{"berserk-3152k/02-2022-02-09/default.nn", "bytes", 0, "", 0, "bafyreiben65hoj6v7i75b5pqascc42ts46j4edxyy46wf7j2xxlkk4ddrq"},
	{"berserk-3152k/03-2022-04-19/default.nn", "bytes", 0, "", 0, "bafyreiegsqf7bm5jj5dacv73qo232x4peqmwaarwklilgb3aofrbxprhjm"},
	{"berserk-3152k/04-2022-04-26/default.nn", "bytes", 0, "", 0, "bafyreidgahslyleajajcyiwvxnh7m36hpubs2m667hltlflagqwuiy7j2e"},
	{"magika-onnx/3-v3_0a/model.onnx", "onnx", 36, "f32", 0.991, "bafyreidqprv6qt4bm2bmra4etbco4ijzot4swuzlgpb6fqw2s2adipdhva"},
	{"magika-onnx/4-v3_0b/model.onnx", "onnx", 36, "f32", 0.991, "bafyreihxjzh2trchq6e3bhpqjb4u5zecnvyfhndl7sn4v7e733vl2anbpe"},
	{"magika-onnx/5-v3_1/model.onnx", "onnx", 36, "f32", 0.991, "bafyreiens7nff23xlqkpcxbhf7ggjo5q2a3mneel4uooz32oyipss6zbv4"},
	{"magika-onnx/6-v3_2/model.onnx", "onnx", 36, "f32", 0.991, "bafyreiahgbuwpzynmme6te6busdp7wgdm22bqnz6cllmmmugvdyjdt5oba"},
	{"mediapipe-pose/0.3.1621277220/pose_landmark_full.tflite", "tflite", 188, "f16", 0.986, "bafyreidmzfipjlvcai4sybodlcxykczhd64yafou34b5t7u465gjhf2doa"},
	{"mediapipe-pose/0.4.1633558788/pose_landmark_full.tflite", "tflite", 202, "f16", 0.984, "bafyreiagoku3vx36lnhno3sdadzgpwvkjr25daw254smoeoenfh2oraymm"},
	{"ppocrv4-rec/npm-1.4.2/ch_PP-OCRv4_rec_infer.onnx", "onnx", 325, "f32", 0.994, "bafyreibuaypunddgtgmvidg7oyd5rftzmwo2xwnoqz36btebm2r4teswe4"},
	{"sf-small-leb128/1-baff1ede1f90/net.nnue", "bytes", 0, "", 0, "bafyreidiemj2jf6gyazjrwpaholkj4mx7rs4xuv5rh5dpntyfaclwfcmxu"},
	{"sf-small-leb128/2-c01dc0ffeede/net.nnue", "bytes", 0, "", 0, "bafyreiajxx6xpupqh74beky6anpw3t2k5gwitxzyfb2n2xurhucbkfvfoe"},
	{"silero-16k-onnx/v6.2/silero_vad_16k_op15.onnx", "onnx", 177, "f32", 0.96, "bafyreiarhzxmytwq5ahj4cmgum3spmx64sap6xe2b2oadqwiktdkfayqiu"},
	{"silero-16k-safetensors/v6.2/silero_vad_16k.safetensors", "safetensors", 15, "f32", 0.999, "bafyreidmc4n6w647q2prazfm2san3epepfess3sgrgvmbqkqgbodiwl5se"},
	{"silero-jit/v6.0/silero_vad.jit", "zip", 125, "bytes", 0.986, "bafyreiblepcktzvfd3f3buzygk3dsbm5qcjgw4yzinii2fdgvv3yei6d4i"},
	{"silero-jit/v6.2/silero_vad.jit", "zip", 123, "bytes", 0.985, "bafyreibv3ubsldrc4nmzcwmrvffzvjwhtw4zxfkoui2px2bqo3aolhcppy"},
	{"silero-onnx/v4.0-hotfix/silero_vad.onnx", "onnx", 263, "f32", 0.984, "bafyreiajhnhqydrercarphrj5eakpyncsxyrxqdaon3lkbtpj7uxwoyane"},
	{"silero-onnx/v4.0/silero_vad.onnx", "onnx", 263, "f32", 0.983, "bafyreigh3lqokv5tbvmwglhp3u6xgoh4cdzpjdbvy6yi3hjxc5cyv7aahy"},
	{"silero-onnx/v5.0/silero_vad.onnx", "onnx", 345, "f32", 0.942, "bafyreievlv62ayohgjt3nkfplcqvu3hzqpzwdtm3kfguv2pi6l2gzdlspe"},
	{"silero-onnx/v5.1/silero_vad.onnx", "onnx", 345, "f32", 0.937, "bafyreibztarsgyaitjhbz5z3gvgx3lnhtxwtqjuk66ozh37wumuz67egpm"},
	{"silero-onnx/v6.0/silero_vad.onnx", "onnx", 345, "f32", 0.937, "bafyreibztarsgyaitjhbz5z3gvgx3lnhtxwtqjuk66ozh37wumuz67egpm"},
	{"silero-onnx/v6.2/silero_vad.onnx", "onnx", 345, "f32", 0.937, "bafyreibztarsgyaitjhbz5z3gvgx3lnhtxwtqjuk66ozh37wumuz67egpm"},
}

func readCorpus(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(corpus.File(tb, path))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestCorpusLayouts(t *testing.T) {
	for _, c := range corpusFiles {
		t.Run(c.path, func(t *testing.T) {
			data := readCorpus(t, c.path)
			l := layout(t, data, c.path)
			checkResult(t, data, c.path, l, nil)
			block, err := manifest.Encode(l)
			if err != nil {
				t.Fatal(err)
			}
			var typed uint64
			for _, x := range l.Tensors {
				if x.DType == c.dtype {
					typed += x.Length
				}
			}
			share := float64(typed) / float64(len(data))
			if l.Format != c.format || len(l.Tensors) != c.tensors || share < c.share || block.CID.String() != c.cid {
				t.Errorf("{%q, %q, %d, %q, %.4f, %q}", c.path, l.Format, len(l.Tensors), c.dtype, share, block.CID)
			}
		})
	}
}

// The table above misses no file.
func TestCorpusIsComplete(t *testing.T) {
	known := make(map[string]bool)
	for _, c := range corpusFiles {
		known[c.path] = true
	}
	dir := corpus.Dir(t)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) == dir {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator)))
		if !known[name] {
			t.Errorf("%s is not in the table", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Weights that a retrained or edited model has in common with the one before:
// silero 5.1 is 5.0 with another graph and the same weights. The graph is 6 %
// of the file and shares chunks with the ends of the tensors before it.
func TestCorpusEditedGraphSharesWeights(t *testing.T) {
	before, after := readCorpus(t, "silero-onnx/v5.0/silero_vad.onnx"), readCorpus(t, "silero-onnx/v5.1/silero_vad.onnx")
	la, lb := layout(t, before, "a.onnx"), layout(t, after, "b.onnx")
	var weights uint64
	for _, x := range lb.Tensors {
		weights += x.Length
	}
	shared := sharedBytes(t, before, la, after, lb)
	if share := float64(shared) / float64(weights); share < 0.99 {
		t.Errorf("%d bytes of %d are in chunks held before, %.3f of the weights' %d", shared, len(after), share, weights)
	}
	// Cutting by content finds less, at the same size of chunks.
	la.Tensors, lb.Tensors = nil, nil
	if grid := sharedBytes(t, before, la, after, lb); grid >= shared {
		t.Errorf("chunks of tensors share %d bytes, a plain grid %d", shared, grid)
	}
}

// A model that was only retrained keeps its layout, and so pays nothing for it.
func TestCorpusRetrainedModelKeepsItsLayout(t *testing.T) {
	for _, pair := range [][2]string{
		{"silero-onnx/v5.1/silero_vad.onnx", "silero-onnx/v6.0/silero_vad.onnx"},
		{"silero-onnx/v6.0/silero_vad.onnx", "silero-onnx/v6.2/silero_vad.onnx"},
	} {
		var cids [2]manifest.CID
		for i, path := range pair {
			block, err := manifest.Encode(layout(t, readCorpus(t, path), path))
			if err != nil {
				t.Fatal(err)
			}
			cids[i] = block.CID
		}
		if cids[0] != cids[1] {
			t.Errorf("%s and %s have layouts %s and %s", pair[0], pair[1], cids[0], cids[1])
		}
	}
}

// Every real model cut short at many points is refused, or is no known format
// any more, in little memory.
func TestCorpusCutShort(t *testing.T) {
	for _, c := range corpusFiles {
		if c.format == "bytes" {
			continue
		}
		data := readCorpus(t, c.path)
		const points = 40
		for i := range points {
			n := len(data) * i / points
			if n += i; n >= len(data) {
				continue
			}
			if err := tryLayout(t, data[:n], c.path); err == nil && n > 8 && c.format != "tflite" {
				t.Errorf("%s cut to %d of %d bytes is laid out", c.path, n, len(data))
			}
		}
	}
}

// A bit that flips in a model's structure gives an error or a good layout.
func TestCorpusFlippedBits(t *testing.T) {
	for _, c := range corpusFiles {
		if c.format == "bytes" {
			continue
		}
		data := readCorpus(t, c.path)
		for i := range 25 {
			at := i * i * i * 7919 % len(data)
			data[at] ^= 1 << (i % 8)
			_ = tryLayout(t, data, c.path) // checks the result itself
			data[at] ^= 1 << (i % 8)
		}
	}
}

// The flat nets are arrays where their publisher says so.
func TestCorpusHints(t *testing.T) {
	for path, dtype := range map[string]manifest.DType{
		"alexandria-1579k/04-2023-11-04/nn.net":  "i16",
		"berserk-3152k/01-2022-02-07/default.nn": "f32",
	} {
		f, err := os.Open(corpus.File(t, path))
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		l, err := chunker.Layout(t.Context(), f, info.Size(), path, chunker.Options{DType: dtype})
		if err != nil || l.Format != "array" || len(l.Tensors) != 1 || l.Tensors[0].DType != dtype || len(l.Cuts) != 0 {
			t.Errorf("%s: %+v, %v", path, l, err)
		}
		f.Close()
	}
}

// BenchmarkLayout lays out each model of the corpus.
func BenchmarkLayout(b *testing.B) {
	for _, c := range corpusFiles {
		b.Run(c.path, func(b *testing.B) {
			data := readCorpus(b, c.path)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				layout(b, data, c.path)
			}
			runtime.KeepAlive(data)
		})
	}
}
