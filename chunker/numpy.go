package chunker

import (
	"slices"
	"strings"

	"github.com/dunlin-mesh/dunlin/manifest"
)

const (
	npyFormat = "npy"
	npyMagic  = "\x93NUMPY"
	// maxNPYHeader is far above what numpy itself reads without being told to
	// (10,000 bytes).
	maxNPYHeader = 1 << 16
)

// numpyTypes are numpy's little-endian element types that a layout has a word
// for; others (big-endian, structured, text, objects) are bytes.
var numpyTypes = map[string]manifest.DType{
	"|b1": "bool", "|i1": "i8", "|u1": "u8", "<i2": "i16", "<u2": "u16", "<f2": "f16",
	"<i4": "i32", "<u4": "u32", "<f4": "f32", "<i8": "i64", "<u8": "u64", "<f8": "f64",
	"<c8": "c64", "<c16": "c128",
}

// decodeNPY reads an array that numpy.save wrote
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
func decodeNPY(src *source) (*structure, error) {
	e, err := npyArray(src, npyFormat, span{0, src.size})
	if err != nil {
		return nil, err
	}
	var table tensorTable
	e.Name = "array"
	table.add(e)
	tensors, err := table.separate(src, npyFormat)
	return &structure{format: npyFormat, tensors: tensors}, err
}

// npyArray reads the header at the start of m and returns the array that
// follows it, without a name. Bytes after the array are allowed: several
// arrays may stand in one file.
func npyArray(src *source, format string, m span) (entry, error) {
	c := src.cursor(format, m)
	c.run(uint64(len(npyMagic)), "magic number")
	major := c.u8()
	c.u8() // minor
	var length uint64
	switch major {
	case 1:
		length = uint64(c.u16())
	case 2, 3:
		length = uint64(c.u32())
	default:
		c.fail(m.start+int64(len(npyMagic)), "version %d, want 1 to 3", major)
	}
	if length > maxNPYHeader {
		c.fail(c.at, "header of %d bytes, at most %d", length, maxNPYHeader)
	}
	header := c.run(length, "header")
	if c.err != nil {
		return entry{}, c.err
	}
	h, err := npyReadHeader(src.cursor(format, header))
	if err != nil {
		return entry{}, err
	}
	data := span{header.end, m.end}
	e := entry{at: m.start, Tensor: manifest.Tensor{DType: manifest.Bytes, Offset: uint64(data.start), Length: data.bytes()}}
	dtype := numpyTypes[h.descr]
	if dtype == "" || len(h.shape) > manifest.MaxRank {
		return e, nil
	}
	n, ok := tensorBytes(h.shape, dtype)
	if !ok || n > data.bytes() {
		return entry{}, src.malformed(format, header.start, "array says %d elements of %s but has %d bytes", h.shape, dtype, data.bytes())
	}
	if h.fortran { // the same bytes, read with the dimensions turned round
		slices.Reverse(h.shape)
	}
	e.DType, e.Shape, e.Length = dtype, h.shape, n
	return e, nil
}

// npyHeader is the dictionary of an array's header.
type npyHeader struct {
	descr   string // "" if it is no string
	fortran bool
	shape   []uint64
}

// npyReadHeader reads the header, a Python dictionary literal such as
//
//	{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
//
// followed by spaces and a newline.
func npyReadHeader(c *cursor) (h npyHeader, err error) {
	p := pythonReader{jsonReader{c}}
	seen := make(map[string]bool)
	p.expect('{')
	for p.err == nil && !p.accept('}') {
		at := p.at
		key := p.quoted()
		if p.expect(':'); seen[key] {
			p.fail(at, "%.20q twice", key)
		}
		seen[key] = true
		switch key {
		case "descr":
			h.descr = p.descr()
		case "fortran_order":
			h.fortran = p.boolean()
		case "shape":
			h.shape = p.tuple()
		default:
			p.fail(at, "unknown key %.20q", key)
		}
		if !p.accept(',') {
			p.expect('}')
			break
		}
	}
	if p.peek(); p.err == nil && p.at < p.end {
		p.fail(p.at, "bytes after the dictionary")
	}
	if p.err == nil && len(seen) != 3 {
		p.fail(p.at, "want descr, fortran_order and shape")
	}
	return h, p.err
}

// pythonReader reads the few kinds of Python literals that numpy writes.
type pythonReader struct{ jsonReader }

// quoted reads a short string without escapes.
func (p pythonReader) quoted() string {
	quote := p.peek()
	if quote != '\'' && quote != '"' {
		p.fail(p.at, "want a string")
	}
	p.u8()
	var text strings.Builder
	for p.err == nil {
		b := p.u8()
		if b == quote {
			return text.String()
		}
		if text.WriteByte(b); b == '\\' || text.Len() > manifest.MaxNameBytes {
			p.fail(p.at, "string with an escape or too long")
		}
	}
	return ""
}

// descr reads an element type; a structured one, a list, is passed over: "".
func (p pythonReader) descr() string {
	if p.peek() != '[' {
		return p.quoted()
	}
	depth := 0
	for p.err == nil {
		switch p.peek() {
		case '\'', '"':
			p.quoted()
			continue
		case '[', '(':
			depth++
		case ']', ')':
			depth--
		}
		if p.u8(); depth == 0 {
			break
		}
	}
	return ""
}

func (p pythonReader) boolean() bool {
	p.peek()
	switch string(p.take(4)) {
	case "True":
		return true
	case "Fals":
		p.expect('e')
		return false
	}
	p.fail(p.at, "want True or False")
	return false
}

// tuple reads a shape: (), (3,) or (3, 4).
func (p pythonReader) tuple() (dims []uint64) {
	p.expect('(')
	for p.err == nil && !p.accept(')') {
		if dims = append(dims, p.number()); !p.accept(',') {
			p.expect(')')
			break
		}
	}
	return dims
}
