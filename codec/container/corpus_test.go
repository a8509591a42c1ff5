package container_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/container"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
)

func corpusFile(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(corpus.File(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// The sections of a real net: biases, weights and their material values.
func TestFindInNNUE(t *testing.T) {
	for _, c := range []struct{ file, packs string }{
		{"1-baff1ede1f90", "121+146 i16 256, 288+2964511 i16 5767168, 2964820+488870 i32 720896"},
		{"2-c01dc0ffeede", "121+148 i16 256, 290+3000219 i16 5767168, 3000530+489929 i32 720896"},
	} {
		if got := describe(find(t, corpusFile(t, "sf-small-leb128/"+c.file+"/net.nnue"))); got != c.packs {
			t.Errorf("%s: %s", c.file, got)
		}
	}
}

// Models that pack nothing: TorchScript stores its entries.
func TestFindNothingInCorpus(t *testing.T) {
	for _, name := range []string{"silero-onnx/v6.2/silero_vad.onnx", "berserk-3152k/01-2022-02-07/default.nn", "mediapipe-pose/0.4.1633558788/pose_landmark_full.tflite", "silero-16k-safetensors/v6.2/silero_vad_16k.safetensors"} {
		if packs := find(t, corpusFile(t, name)); len(packs) != 0 {
			t.Errorf("%s: %s", name, describe(packs))
		}
	}
}

// pythonPack writes what it reads as a file of a kind, as Python's library does.
const pythonPack = `
import gzip, io, sys, zipfile, zlib
kind, level, data, out = sys.argv[1], int(sys.argv[2]), sys.stdin.buffer.read(), io.BytesIO()
if kind == "gzip":
    with gzip.GzipFile("model", "wb", level, out) as f:
        f.write(data)
elif kind == "zlib":
    out.write(zlib.compress(data, level))
else:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as z:
        with z.open("model/data", "w") as f:
            for at in range(0, len(data), 8000):
                f.write(data[at : at + 8000])
sys.stdout.buffer.write(out.getvalue())
`

// Real models, packed by Python at the levels in use, are seen through whole.
func TestFindWhatPythonPacks(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: runs Python for a minute")
	}
	for _, name := range []string{"silero-16k-onnx/v6.2/silero_vad_16k_op15.onnx", "alexandria-1579k/04-2023-11-04/nn.net"} {
		plain := corpusFile(t, name)
		for _, kind := range []string{"gzip", "zlib", "zip"} {
			for _, level := range []int{1, 6, 9} {
				data := command(t, plain, "python3", "-c", pythonPack, kind, fmt.Sprint(level))
				packs := find(t, data)
				if len(packs) != 1 {
					t.Errorf("%s, %s %d: %s", name, kind, level, describe(packs))
					continue
				}
				var got bytes.Buffer
				if err := packs[0].Unpack(bytes.NewReader(data), &got); err != nil || !bytes.Equal(got.Bytes(), plain) {
					t.Errorf("%s, %s %d: unpacked to other bytes, %v", name, kind, level, err)
				}
			}
		}
	}
}

func command(tb testing.TB, in []byte, name string, args ...string) []byte {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		tb.Skipf("SKIP: no program %s to pack with", name)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func BenchmarkPack(b *testing.B) {
	plain := weights(4 << 20)
	files := map[string][]byte{"leb128": corpusFile(b, "sf-small-leb128/1-baff1ede1f90/net.nnue")}
	for _, level := range []uint8{1, 6, 9} {
		r := zlib6
		r.Level = level
		files[fmt.Sprintf("deflate%d", level)] = gzipped(deflated(b, plain, r))
	}
	for _, name := range []string{"leb128", "deflate1", "deflate6", "deflate9"} {
		data := files[name]
		packs, err := container.Find(b.Context(), bytes.NewReader(data), int64(len(data)))
		if err != nil {
			b.Fatal(err)
		}
		p := packs[0]
		for _, other := range packs {
			if other.Length > p.Length {
				p = other
			}
		}
		var unpacked bytes.Buffer
		if err := p.Unpack(bytes.NewReader(data), &unpacked); err != nil {
			b.Fatal(err)
		}
		for kind, call := range map[string]func() error{
			"unpack": func() error { return p.Unpack(bytes.NewReader(data), io.Discard) },
			"repack": func() error { return p.Repack(bytes.NewReader(unpacked.Bytes()), io.Discard) },
		} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.SetBytes(p.Unpacked)
				b.ReportAllocs()
				for b.Loop() {
					if err := call(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(name+"/find", func(b *testing.B) {
			b.SetBytes(p.Unpacked)
			for b.Loop() {
				if _, err := container.Find(context.Background(), bytes.NewReader(data), int64(len(data))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A large file that is no container: what every delta pays.
func BenchmarkFindNothing(b *testing.B) {
	for b.Loop() {
		if _, err := container.Find(context.Background(), zeros{}, 1<<30); err != nil {
			b.Fatal(err)
		}
	}
}
