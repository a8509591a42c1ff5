package codec

import (
	"sort"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Class is a kind of element, as far as coding cares. Values are in the order
// of streams in a frame and part of the format.
type Class uint8

// The classes and the bytes of their elements.
const (
	Other Class = iota // 1: text, structure, block types, pieces of elements
	Int8               // 1: i8 u8 i4 u4 bool and the 8-bit floats
	F16                // 2
	BF16               // 2
	I16                // 2: i16 u16
	F32                // 4: f32 c64
	I32                // 4: i32 u32
	F64                // 8: f64 c128
	I64                // 8: i64 u64
	classes
)

// Width returns the bytes of an element.
func (c Class) Width() int {
	switch c {
	case F16, BF16, I16:
		return 2
	case F32, I32:
		return 4
	case F64, I64:
		return 8
	}
	return 1
}

// float says whether elements are rotated before they are split.
func (c Class) float() bool { return c == F16 || c == BF16 || c == F32 || c == F64 }

// ClassOf maps a tensor's element type to its class; a type that it does not know is Other.
func ClassOf(d manifest.DType) Class {
	switch d {
	case "i8", "u8", "i4", "u4", "bool", "f8e4m3", "f8e5m2":
		return Int8
	case "f16":
		return F16
	case "bf16":
		return BF16
	case "i16", "u16":
		return I16
	case "f32", "c64":
		return F32
	case "i32", "u32":
		return I32
	case "f64", "c128":
		return F64
	case "i64", "u64":
		return I64
	}
	return Other
}

// Segment is a run of whole elements of one class in a chunk.
type Segment struct {
	Class Class
	Bytes int // a multiple of the element's length, at least 1
}

// Segments appends to segs those of the chunk that lies at offset, length
// bytes long, in a file of layout l. The bytes of an element that the chunk
// cuts through count as Other, and neighbours of one class are one segment.
func Segments(segs []Segment, l *manifest.Layout, offset uint64, length int) []Segment {
	first := len(segs)
	add := func(c Class, n int) {
		if n <= 0 {
			return
		}
		if last := len(segs) - 1; last >= first && segs[last].Class == c {
			segs[last].Bytes += n
			return
		}
		segs = append(segs, Segment{Class: c, Bytes: n})
	}
	at, end := offset, offset+uint64(length)
	next := sort.Search(len(l.Tensors), func(i int) bool { return l.Tensors[i].Offset+l.Tensors[i].Length > offset })
	for ; next < len(l.Tensors) && l.Tensors[next].Offset < end; next++ {
		t := &l.Tensors[next]
		from, to := max(t.Offset, at), min(t.Offset+t.Length, end)
		class := ClassOf(t.DType)
		width := uint64(class.Width())
		head := min((width-(from-t.Offset)%width)%width, to-from)
		body := (to - from - head) / width * width
		add(Other, int(from-at+head))
		add(class, int(body))
		add(Other, int(to-from-head-body))
		at = to
	}
	add(Other, int(end-at))
	return segs
}

// plain says whether no segment holds elements of more than one byte.
func plain(segs []Segment) bool {
	for _, s := range segs {
		if s.Class.Width() > 1 {
			return false
		}
	}
	return true
}

// measure returns how many bytes each class has; false if segs do not cover
// exactly length bytes in whole elements.
func measure(segs []Segment, length int) (sizes [classes]int, ok bool) {
	for _, s := range segs {
		if s.Class >= classes || s.Bytes < 1 || s.Bytes > length || s.Bytes%s.Class.Width() != 0 {
			return sizes, false
		}
		sizes[s.Class] += s.Bytes
		length -= s.Bytes
	}
	return sizes, length == 0
}
