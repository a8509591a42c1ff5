package container_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/container"
	"github.com/dunlin-mesh/dunlin/codec/container/deflate"
)

// weights makes n bytes that look like those of a trained model.
func weights(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	out := make([]byte, 0, n+4)
	for len(out) < n {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(r.NormFloat64()/50))&^0xff)
	}
	return out[:n]
}

func recipe(p container.Pack) deflate.Recipe {
	r, err := deflate.ParseRecipe(p.Params)
	if err != nil {
		panic(err)
	}
	return r
}

// deflated returns the stream of plain.
func deflated(tb testing.TB, plain []byte, r deflate.Recipe) []byte {
	tb.Helper()
	var out bytes.Buffer
	if _, err := deflate.NewEncoder().Encode(&out, bytes.NewReader(plain), r); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// gzipped wraps streams as members of a gzip file; checksums are left zero.
func gzipped(streams ...[]byte) []byte {
	var out []byte
	for _, s := range streams {
		out = append(out, "\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03name\x00"...)
		out = append(append(out, s...), make([]byte, 8)...)
	}
	return out
}

// zipped wraps streams as entries of a zip file.
func zipped(tb testing.TB, size int, streams ...[]byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, s := range streams {
		w, err := z.CreateRaw(&zip.FileHeader{
			Name: "data/0", Method: zip.Deflate,
			CompressedSize64: uint64(len(s)), UncompressedSize64: uint64(size),
		})
		if err == nil {
			_, err = w.Write(s)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// section makes an NNUE section of packed bytes.
func section(packed []byte) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte("COMPRESSED_LEB128"), uint32(len(packed))), packed...)
}

// leb encodes values in shortest form, written apart from the code under test.
func leb(values ...int64) []byte {
	var out []byte
	for _, v := range values {
		for {
			b := byte(v & 0x7f)
			v >>= 7
			if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
				out = append(out, b)
				break
			}
			out = append(out, b|0x80)
		}
	}
	return out
}
