package container_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/container"
)

// FuzzFind: whatever the file holds, what is found lies in it, is in order and
// repacks bit for bit.
func FuzzFind(f *testing.F) {
	for _, name := range []string{"numpy.npz", "python.zip", "unix.zip", "unix.txt.gz", "python.gz", "python.zlib", "chunks.h5"} {
		f.Add(fixture(f, name))
	}
	f.Add(slices.Concat([]byte("net "), section(bytes.Repeat(leb(1, -100, 70000), 30)), []byte("end")))
	f.Add(gzipped(deflated(f, make([]byte, 100000), zlib6)))
	f.Fuzz(func(t *testing.T, data []byte) { find(t, data) })
}

// bounded fails the test when more is written than it should be.
type bounded struct {
	t    *testing.T
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		b.t.Fatal("more is written than was told")
	}
	if len(p) > 64<<10 {
		b.t.Fatalf("a piece of %d bytes", len(p))
	}
	return len(p), nil
}

// FuzzPack: no pack, whatever it claims of whatever bytes, makes Unpack or
// Repack panic or write more than was told; and no success is short.
func FuzzPack(f *testing.F) {
	plain := weights(3000)
	run := deflated(f, plain, zlib6)
	f.Add(run, uint8(container.Deflate), []byte{0, 6}, int64(0), int64(len(run)), int64(len(plain)))
	f.Add(plain, uint8(container.Deflate), []byte{2, 9}, int64(0), int64(len(run)), int64(len(plain)))
	f.Add(append([]byte{9}, leb(1, -2, 300, 70000)...), uint8(container.LEB128), []byte{4}, int64(1), int64(7), int64(16))
	f.Add([]byte{1, 0, 0xfe, 0xff}, uint8(container.LEB128), []byte{2}, int64(0), int64(2), int64(4))
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, params []byte, offset, length, unpacked int64) {
		p := container.Pack{Offset: offset, Length: length, Kind: container.Kind(kind), Params: params, Unpacked: unpacked}
		out := &bounded{t, p.Unpacked}
		if err := p.Unpack(bytes.NewReader(data), out); err == nil && out.left != 0 {
			t.Fatalf("%+v: %d bytes are missing", p, out.left)
		}
		out = &bounded{t, p.Length}
		if err := p.Repack(bytes.NewReader(data), out); err == nil && out.left != 0 {
			t.Fatalf("%+v: %d bytes of the run are missing", p, out.left)
		}
	})
}
