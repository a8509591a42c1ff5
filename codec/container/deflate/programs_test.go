package deflate_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/container/deflate"
)

// python compresses what it reads with zlib itself.
const python = `
import sys, zlib
c = zlib.compressobj(int(sys.argv[1]), zlib.DEFLATED, -15, int(sys.argv[2]))
sys.stdout.buffer.write(c.compress(sys.stdin.buffer.read()) + c.flush())
`

// original returns the stream that the recipe's own program makes. It skips the
// test where the program is not installed.
func original(tb testing.TB, plain []byte, r deflate.Recipe) []byte {
	tb.Helper()
	level := strconv.Itoa(int(r.Level))
	switch r.Family {
	case deflate.Zlib:
		return run(tb, plain, "python3", "-c", python, level, "8")
	case deflate.ZlibMax:
		return run(tb, plain, "python3", "-c", python, level, "9")
	case deflate.Gzip:
		out := run(tb, plain, "gzip", "-n", "-c", "-"+level)
		const header, trailer = 10, 8
		return out[header : len(out)-trailer]
	}
	archive := run(tb, plain, "zip", "-q", "-X", "-"+level, "-", "-")
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		tb.Fatal(err)
	}
	if z.File[0].Method != zip.Deflate {
		return nil // too little to gain: stored
	}
	raw, err := z.File[0].OpenRaw()
	if err != nil {
		tb.Fatal(err)
	}
	stream, err := io.ReadAll(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return stream
}

func run(tb testing.TB, in []byte, name string, args ...string) []byte {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(in)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		tb.Skipf("SKIP: no program %s to compare with", name)
	}
	if err != nil {
		tb.Fatalf("%s: %v: %s", name, err, &complaint)
	}
	return out
}

// sample makes n bytes of a kind; the same on every machine.
func sample(kind string, n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	out := make([]byte, 0, n+16)
	for len(out) < n {
		switch kind {
		case "zeros":
			out = append(out, 0)
		case "noise":
			out = append(out, byte(r.Uint32()))
		case "sparse":
			out = append(out, make([]byte, r.IntN(40))...)
			out = append(out, byte(r.Uint32()))
		case "text": // words by Zipf's law, and repetitions from afar
			word := uint64(math.Exp(r.Float64() * 7))
			if r.IntN(8) == 0 && len(out) > 2000 {
				from := r.IntN(len(out) - 1000)
				out = append(out, out[from:from+3+r.IntN(300)]...)
			}
			for ; word > 0; word /= 5 {
				out = append(out, "eatin"[word%5])
			}
			out = append(out, ' ')
		case "weights":
			x := float32(r.IntN(1<<16)-r.IntN(1<<16)) / (1 << 20)
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x)&^0xfff)
		case "mixed": // compresses here and there: blocks of every type
			part := []string{"zeros", "noise", "sparse", "weights", "text"}[r.IntN(5)]
			out = append(out, sample(part, 1+r.IntN(30000))...)
		default:
			panic("no sample of kind " + kind)
		}
	}
	return out[:n]
}

var kinds = []string{"zeros", "noise", "sparse", "text", "weights", "mixed"}
