package delta

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec/container"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// Blocks of every type are taken apart and put together again, and the view
// gives any part of them.
func TestStrips(t *testing.T) {
	for kind := range blockTypes {
		t.Run(string(blockTypes[kind].name), func(t *testing.T) {
			s := strip{kind: kind}
			length, _ := s.block()
			if bits := blockTypes[kind].name.Bits(); bits != 0 && uint64(bits)*blockTypes[kind].numbers != uint64(8*length) {
				t.Errorf("%d numbers of %d bits in %d bytes", blockTypes[kind].numbers, bits, length)
			}
			check(t, 20, func(t *rapid.T) {
				blocks := rapid.IntRange(1, 20).Draw(t, "blocks")
				packed := randomBytes(rapid.Uint64().Draw(t, "seed"), blocks*length)
				s := strip{size: int64(len(packed)), kind: kind}
				if err := s.check(0, s.size); err != nil {
					t.Fatal(err)
				}
				open, back := make([]byte, s.opened()), make([]byte, len(packed))
				s.open(open, packed)
				s.close(back, open)
				if !bytes.Equal(back, packed) {
					t.Fatal("other blocks came back")
				}
				at := int64(0)
				for _, r := range s.regions(0, "tensor", []uint64{uint64(blocks), blockTypes[kind].numbers}) {
					if r.at != at || r.size == 0 || r.size%int64(r.class.Width()) != 0 || r.cols == 0 {
						t.Fatalf("field %+v at %d", r, at)
					}
					at = r.end()
				}
				if at != s.opened() {
					t.Fatalf("fields of %d bytes of %d", at, s.opened())
				}
				r := &stripReader{bytes.NewReader(packed), s}
				if err := iotest.TestReader(io.NewSectionReader(r, 0, s.opened()), open); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// A tensor of blocks is cut into strips of whole rows.
func TestStripsOfTensor(t *testing.T) {
	const rows, cols = 1000, 4096
	tensor := &manifest.Tensor{Name: "w", DType: "gguf:Q8_0", Shape: []uint64{rows, cols}, Offset: 77, Length: rows * cols / 32 * 34}
	at := int64(77)
	for _, s := range strips(tensor) {
		if s.at != at || s.size > stripBytes || s.size%(cols/32*34) != 0 {
			t.Fatalf("strip %+v at %d", s, at)
		}
		at += s.size
	}
	if at != 77+int64(tensor.Length) {
		t.Errorf("strips end at %d", at)
	}
	tensor.DType = "gguf:IQ1_S"
	if list := strips(tensor); len(list) > 0 {
		t.Errorf("unknown blocks are taken apart: %v", list)
	}
}

// packedFile returns a file with two runs of LEB128 numbers, its packed runs,
// and its view.
func packedFile(t testing.TB) (file []byte, packs []container.Pack, open []byte) {
	t.Helper()
	put := func(raw []byte) {
		file, open = append(file, raw...), append(open, raw...)
	}
	put([]byte("some text"))
	for _, n := range []int{5000, 1, 70000} {
		numbers := randomBytes(uint64(n), 2*n)
		var run bytes.Buffer
		p := container.Pack{Kind: container.LEB128, Params: []byte{2}, Unpacked: int64(len(numbers)), Offset: int64(len(file)), DType: "i16"}
		for i := 0; i < len(numbers); i += 2 {
			v := int16(uint16(numbers[i]) | uint16(numbers[i+1])<<8)
			for {
				b := byte(v & 0x7f)
				v >>= 7
				if done := v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0; done {
					run.WriteByte(b)
					break
				}
				run.WriteByte(b | 0x80)
			}
		}
		p.Length = int64(run.Len())
		file, open = append(file, run.Bytes()...), append(open, numbers...)
		packs = append(packs, p)
		put([]byte("more text"))
	}
	return file, packs, open
}

// The view of a file opens its packed runs, in memory or in a temporary file,
// and leaves nothing behind.
func TestView(t *testing.T) {
	file, packs, open := packedFile(t)
	v, err := newView(t.Context(), bytes.NewReader(file), int64(len(file)), packs, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if v.spill != nil {
		t.Error("a temporary file for a few bytes")
	}
	if err := iotest.TestReader(io.NewSectionReader(v, 0, v.size), open); err != nil {
		t.Error(err)
	}
	for _, at := range []int64{-1, v.size, v.size + 1} {
		if n, err := v.ReadAt(make([]byte, 1), at); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("byte %d: %d, %v", at, n, err)
		}
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

// What the view opened, the repacker packs again, however it is written.
func TestRepacker(t *testing.T) {
	file, packs, open := packedFile(t)
	for _, step := range []int{1, 7, 4096, len(open)} {
		var out bytes.Buffer
		r := &repacker{w: &out, packs: packs}
		for at := 0; at < len(open); at += step {
			if n, err := r.Write(open[at:min(at+step, len(open))]); err != nil {
				t.Fatalf("%d bytes at %d: %d, %v", step, at, n, err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), file) {
			t.Errorf("%d bytes at a time: another file", step)
		}
	}
}

// A repacker tells what the delta did wrong from what the writer did.
func TestRepackerErrors(t *testing.T) {
	_, packs, open := packedFile(t)
	full := errors.New("disk full")
	for _, room := range []int{0, 9, 5000, 60000} {
		r := &repacker{w: &fullWriter{room, full}, packs: packs}
		_, err := r.Write(open)
		if err := errors.Join(err, r.Close()); !errors.Is(err, full) || isDelta(err) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
	packs[0].Length-- // so that the numbers do not fit
	r := &repacker{w: io.Discard, packs: packs}
	if _, err := r.Write(open); !isDelta(err) {
		t.Errorf("numbers that do not fit: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	// Early end: what is at work ends, too.
	r = &repacker{w: io.Discard, packs: packs[1:]}
	if _, err := r.Write(open[:packs[1].Offset+1]); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil || r.pipe != nil {
		t.Errorf("closed early: %v", err)
	}
}

// fullWriter has room for so many bytes.
type fullWriter struct {
	room int
	err  error
}

func (w *fullWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.room)
	if w.room -= n; n < len(p) {
		return n, w.err
	}
	return n, nil
}
