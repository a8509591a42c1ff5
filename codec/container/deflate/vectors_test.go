package deflate_test

import (
	"bytes"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/container/deflate"
)

var update = flag.Bool("update", false, "make testdata/vectors.txt anew with the programs themselves")

const vectors = "testdata/vectors.txt"

// vectorSizes are where things happen: nothing, too little to match, one block,
// and ends shortly before and behind places where the window slides, at which
// gzip(1) behaves unlike zlib.
var vectorSizes = []int{0, 2, 300, 40000, 65100, 65290, 65536, 98060, 200000}

// TestVectors compares with what python3's zlib 1.2.13, gzip 1.12 and zip 3.0
// made: a line of testdata/vectors.txt has the kind and size of a sample, a
// family, and the CRC-32 of its stream at each level; "-" where zip stores.
func TestVectors(t *testing.T) {
	if *update {
		makeVectors(t)
	}
	text, err := os.ReadFile(vectors)
	if err != nil {
		t.Fatal(err)
	}
	e := deflate.NewEncoder()
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if want := len(kinds) * len(vectorSizes) * 4; len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	for _, line := range lines {
		var kind string
		var size int
		var family deflate.Family
		if _, err := fmt.Sscan(line, &kind, &size, (*uint8)(&family)); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		plain := sample(kind, size)
		sums := strings.Fields(line)[3:]
		if len(sums) != 9 {
			t.Fatalf("%q: %d sums", line, len(sums))
		}
		for i, want := range sums {
			r := deflate.Recipe{Family: family, Level: uint8(i + 1)}
			var got bytes.Buffer
			n, err := e.Encode(&got, bytes.NewReader(plain), r)
			if err != nil || n != int64(size) {
				t.Fatalf("%s of %d bytes, %v: read %d, %v", kind, size, r, n, err)
			}
			if sum := sum(got.Bytes()); want != "-" && sum != want {
				t.Errorf("%s of %d bytes, %v: stream of %d bytes is not that of the program", kind, size, r, got.Len())
			}
		}
	}
}

func sum(b []byte) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE(b)) }

func makeVectors(t *testing.T) {
	var text strings.Builder
	for _, kind := range kinds {
		for _, size := range vectorSizes {
			plain := sample(kind, size)
			for _, family := range []deflate.Family{deflate.Zlib, deflate.ZlibMax, deflate.Gzip, deflate.InfoZip} {
				fmt.Fprint(&text, kind, " ", size, " ", uint8(family))
				for level := range uint8(9) {
					stream := original(t, plain, deflate.Recipe{Family: family, Level: level + 1})
					if stream == nil {
						fmt.Fprint(&text, " -")
						continue
					}
					fmt.Fprint(&text, " ", sum(stream))
				}
				fmt.Fprintln(&text)
			}
		}
	}
	if err := os.WriteFile(vectors, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
