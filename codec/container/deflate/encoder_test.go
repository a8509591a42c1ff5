package deflate_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec/container/deflate"
	"github.com/dunlin-mesh/dunlin/internal/corpus"
)

func encode(tb testing.TB, plain []byte, r deflate.Recipe) []byte {
	tb.Helper()
	var out bytes.Buffer
	if _, err := deflate.NewEncoder().Encode(&out, bytes.NewReader(plain), r); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// The programs of this machine make the same streams from real models and text.
func TestSameAsProgramsOnCorpus(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: runs other programs for a minute")
	}
	for _, name := range []string{"silero-onnx/v6.2/silero_vad.onnx", "alexandria-1579k/04-2023-11-04/nn.net", "README.md"} {
		plain, err := os.ReadFile(corpus.File(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range deflate.Recipes() {
			if r.Level != 1 && r.Level != 6 && r.Level != 9 {
				continue
			}
			if want := original(t, plain, r); !bytes.Equal(encode(t, plain, r), want) {
				t.Errorf("%s, %v: other than the program's %d bytes", name, r, len(want))
			}
		}
	}
}

// Whatever the input and however it arrives, the stream is the same, and an
// independent decoder gets the input back.
func TestDecodes(t *testing.T) {
	e := deflate.NewEncoder()
	rapid.Check(t, func(t *rapid.T) {
		plain := sample(rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.IntRange(0, 150000).Draw(t, "size"))
		r := rapid.SampledFrom(deflate.Recipes()).Draw(t, "recipe")
		var whole, pieces bytes.Buffer
		for out, in := range map[*bytes.Buffer]io.Reader{&whole: bytes.NewReader(plain), &pieces: iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(plain)))} {
			if _, err := e.Encode(out, in, r); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(whole.Bytes(), pieces.Bytes()) {
			t.Fatal("the stream depends on how the input arrives")
		}
		got, err := io.ReadAll(flate.NewReader(&whole))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("decodes to %d bytes, %v", len(got), err)
		}
	})
}

// An encoder that was interrupted starts afresh.
func TestEncoderIsReusable(t *testing.T) {
	e := deflate.NewEncoder()
	r := deflate.Recipe{Family: deflate.Gzip, Level: 9}
	plain := sample("mixed", 300000)
	want := encode(t, plain, r)
	broken := errors.New("broken")
	for _, in := range []io.Reader{
		io.MultiReader(bytes.NewReader(sample("text", 100000)), iotest.ErrReader(broken)),
		io.MultiReader(bytes.NewReader(sample("text", 77)), iotest.ErrReader(io.ErrUnexpectedEOF)),
	} {
		if _, err := e.Encode(io.Discard, in, r); !errors.Is(err, broken) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("error of the source became %v", err)
		}
		var got bytes.Buffer
		if _, err := e.Encode(&got, bytes.NewReader(plain), r); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%d bytes, want %d, %v", got.Len(), len(want), err)
		}
	}
	if _, err := e.Encode(full{}, bytes.NewReader(plain), r); !errors.Is(err, errFull) {
		t.Fatalf("error of the writer became %v", err)
	}
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// Input that costs zlib itself minutes is given up on.
func TestEffortIsBounded(t *testing.T) {
	bits := sample("noise", 1<<20)
	for i := range bits {
		bits[i] &= 1
	}
	e := deflate.NewEncoder()
	n, err := e.Encode(io.Discard, bytes.NewReader(bits), deflate.Recipe{Family: deflate.Zlib, Level: 9})
	if !errors.Is(err, deflate.ErrEffort) {
		t.Fatalf("read %d bytes, %v", n, err)
	}
}

func TestRecipes(t *testing.T) {
	seen := make(map[deflate.Recipe]bool)
	for _, r := range deflate.Recipes() {
		got, err := deflate.ParseRecipe(r.AppendBinary(nil))
		if err != nil || got != r || seen[r] {
			t.Errorf("%v: %v, %v", r, got, err)
		}
		seen[r] = true
	}
	if len(seen) != 4*9 {
		t.Errorf("%d recipes", len(seen))
	}
	for _, b := range [][]byte{nil, {0}, {0, 0}, {0, 10}, {4, 6}, {255, 6}, {0, 6, 0}} {
		if _, err := deflate.ParseRecipe(b); !errors.Is(err, deflate.ErrRecipe) {
			t.Errorf("% x: %v", b, err)
		}
	}
	if _, err := deflate.NewEncoder().Encode(io.Discard, bytes.NewReader(nil), deflate.Recipe{}); !errors.Is(err, deflate.ErrRecipe) {
		t.Errorf("zero recipe: %v", err)
	}
}

// FuzzEncode: any input under any recipe gives a stream that decodes to it, no
// longer than stored blocks would be by more than a block's header.
func FuzzEncode(f *testing.F) {
	for i, kind := range kinds {
		f.Add(sample(kind, 3000), byte(i%4), byte(2*i))
	}
	e := deflate.NewEncoder()
	f.Fuzz(func(t *testing.T, plain []byte, family, level byte) {
		r := deflate.Recipe{Family: deflate.Family(family % 4), Level: 1 + level%9}
		var out bytes.Buffer
		if _, err := e.Encode(&out, bytes.NewReader(plain), r); errors.Is(err, deflate.ErrEffort) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if worst := len(plain) + len(plain)/1000 + 16; out.Len() > worst {
			t.Fatalf("%d bytes became %d", len(plain), out.Len())
		}
		got, err := io.ReadAll(flate.NewReader(&out))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%v: decodes to %d of %d bytes, %v", r, len(got), len(plain), err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	e := deflate.NewEncoder()
	for _, kind := range []string{"weights", "text", "sparse"} {
		plain := sample(kind, 4<<20)
		for _, level := range []uint8{1, 6, 9} {
			r := deflate.Recipe{Family: deflate.Zlib, Level: level}
			b.Run(kind+"/"+string('0'+rune(level)), func(b *testing.B) {
				b.SetBytes(int64(len(plain)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := e.Encode(io.Discard, bytes.NewReader(plain), r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
