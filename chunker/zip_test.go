package chunker_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

func TestZipEntries(t *testing.T) {
	array := npyFile("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 6), }", floats(6))
	data := zipFile(t,
		zipEntry{"archive/", zip.Store, nil},
		zipEntry{"archive/data/0", zip.Store, floats(8)},
		zipEntry{"archive/w.npy", zip.Store, array},
		zipEntry{"archive/odd.npy", zip.Store, []byte("no array")},
		zipEntry{"archive/packed", zip.Deflate, make([]byte, 1000)})
	l := layout(t, data, "m.jit")
	if l.Format != "zip" || len(l.Tensors) != 4 {
		t.Fatalf("format %q, tensors\n%s", l.Format, lines(l))
	}
	l.Tensors = l.Tensors[:3]
	checkTensors(t, data, l,
		"archive/data/0 bytes [] 32:000000000000c03f00004040",
		"archive/w.npy f16 [2 6] 24:000000000000c03f00004040",
		"archive/odd.npy bytes [] 8:6e6f206172726179")
}

// An empty archive, and one with a comment, are archives.
func TestZipOddShapes(t *testing.T) {
	empty := zipFile(t)
	if l := layout(t, empty, "a.zip"); l.Format != "zip" || len(l.Tensors) != 0 {
		t.Errorf("empty archive: format %q, %d tensors", l.Format, len(l.Tensors))
	}
	data := zipFile(t, zipEntry{"a", zip.Store, []byte("abc")})
	binary.LittleEndian.PutUint16(data[len(data)-2:], 11)
	data = append(data, "PK\x05\x06comment"...)
	checkTensors(t, data, layout(t, data, "a.zip"), "a bytes [] 3:616263")
}

// zip64 makes the archive's directory and end say what they say in the fields
// of 64 bits.
func zip64(t *testing.T, mutate func(record []byte)) []byte {
	t.Helper()
	data := zipFile(t, zipEntry{"a", zip.Store, []byte("abc")})
	end := len(data) - 22
	directory := int(binary.LittleEndian.Uint32(data[end+16:]))
	central := bytes.Clone(data[directory:end])
	binary.LittleEndian.PutUint32(central[20:], math.MaxUint32) // packed
	binary.LittleEndian.PutUint32(central[24:], math.MaxUint32) // size
	binary.LittleEndian.PutUint32(central[42:], math.MaxUint32) // offset
	extra := []byte{1, 0, 24, 0}
	for _, v := range []uint64{3, 3, 0} {
		extra = binary.LittleEndian.AppendUint64(extra, v)
	}
	binary.LittleEndian.PutUint16(central[30:], uint16(len(extra)))
	central = append(central[:47:47], extra...)
	record := []byte("PK\x06\x06")
	record = binary.LittleEndian.AppendUint64(record, 44)
	record = append(record, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0) // versions, disks
	for _, v := range []uint64{1, 1, uint64(len(central)), uint64(directory)} {
		record = binary.LittleEndian.AppendUint64(record, v)
	}
	mutate(record)
	out := append(append(bytes.Clone(data[:directory]), central...), record...)
	out = append(out, "PK\x06\x07\x00\x00\x00\x00"...)
	out = binary.LittleEndian.AppendUint64(out, uint64(directory+len(central)))
	out = append(out, 1, 0, 0, 0)
	tail := bytes.Clone(data[end:])
	copy(tail[8:20], bytes.Repeat([]byte{0xff}, 12))
	return append(out, tail...)
}

func TestZip64(t *testing.T) {
	data := zip64(t, func([]byte) {})
	if _, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatalf("the test's own archive is bad: %v", err)
	}
	checkTensors(t, data, layout(t, data, "a.zip"), "a bytes [] 3:616263")
	for want, mutate := range map[string]func([]byte){
		"no zip64 record":     func(r []byte) { r[0] = 'x' },
		"entries in":          func(r []byte) { binary.LittleEndian.PutUint64(r[32:], math.MaxUint64) },
		"but ends before":     func(r []byte) { binary.LittleEndian.PutUint64(r[40:], math.MaxUint64) },
		"no directory entry":  func(r []byte) { binary.LittleEndian.PutUint64(r[48:], 0) },
		"directory is bytes ": func(r []byte) { binary.LittleEndian.PutUint64(r[48:], 1<<62) },
	} {
		malformed(t, zip64(t, mutate), "a.zip", "zip", want)
	}
}

// Entry names are names: where they would lead on a disk makes no difference,
// but they are clean text.
func TestZipPathTricksAreHarmless(t *testing.T) {
	data := zipFile(t,
		zipEntry{"../../etc/passwd", zip.Store, []byte("a")},
		zipEntry{"/absolute", zip.Store, []byte("b")},
		zipEntry{"c:\\x\x1b[2J\xff", zip.Store, []byte("c")})
	checkTensors(t, data, layout(t, data, "a.zip"),
		"../../etc/passwd bytes [] 1:61", "/absolute bytes [] 1:62", "c:\\x\ufffd[2J\ufffd bytes [] 1:63")
}

func TestZipLies(t *testing.T) {
	array := npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }", floats(6))
	malformed(t, zipFile(t, zipEntry{"a.npy", zip.Store, array}), "a.npz", "npz", "array says [7] elements of f32 but has 24 bytes")

	good := zipFile(t, zipEntry{"a", zip.Store, []byte("abc")}, zipEntry{"b", zip.Store, []byte("def")})
	end := len(good) - 22
	first := int(binary.LittleEndian.Uint32(good[end+16:]))
	second := first + 46 + 1
	for _, c := range []struct {
		want  string
		at    int
		value []byte
	}{
		{"2 entries in a directory of 1 bytes", end + 12, []byte{1, 0, 0, 0}},
		{"but ends before", end + 16, []byte{0xff, 0xff, 0, 0}},
		{"archive of several disks", end + 4, []byte{1, 0}},
		{"archive of several disks", end + 8, []byte{9, 0}},
		{"no directory entry", first, []byte("XXXX")},
		{"entry name of 65535 bytes", first + 28, []byte{0xff, 0xff}},
		{`entry "a" of 65535 bytes`, first + 20, []byte{0xff, 0xff, 0, 0}},
		{`entry "a" at byte 4294967294`, first + 42, []byte{0xfe, 0xff, 0xff, 0xff}},
		{`no local header of entry "a"`, first + 42, []byte{1, 0, 0, 0}},
		{`entry "a" is stored, 9 bytes as 3`, first + 24, []byte{9, 0, 0, 0}},
		{`tensor "b", bytes 31+3, overlaps "a", bytes 31+3`, second + 42, []byte{0, 0, 0, 0}},
		{"no end record", len(good) - 2, []byte{1, 0}},
	} {
		data := bytes.Clone(good)
		copy(data[c.at:], c.value)
		malformed(t, data, "a.zip", "zip", c.want)
	}
}

// Entries that all lead to one place, where a large header would be read for
// each, are refused once they have more bytes than the file.
func TestZipBomb(t *testing.T) {
	array := npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"+strings.Repeat(" ", 60_000), floats(1))
	good := zipFile(t, zipEntry{"a.npy", zip.Store, array})
	end := len(good) - 22
	directory := int(binary.LittleEndian.Uint32(good[end+16:]))
	const copies = 10_000
	entries := bytes.Repeat(good[directory:end], copies)
	data := append(bytes.Clone(good[:directory]), entries...)
	tail := bytes.Clone(good[end:])
	binary.LittleEndian.PutUint16(tail[8:], copies)
	binary.LittleEndian.PutUint16(tail[10:], copies)
	binary.LittleEndian.PutUint32(tail[12:], uint32(len(entries)))
	malformed(t, append(data, tail...), "a.npz", "zip", "entries have more bytes than the file")
}
