package chunker

import (
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth bounds the nesting of values that are passed over.
const maxJSONDepth = 32

// jsonReader reads JSON (RFC 8259) forward without holding it: encoding/json
// would hold a whole string of a header, which may claim 100 MB. It shares the
// cursor's sticky error.
type jsonReader struct{ *cursor }

// peek returns the next byte that is no white space, 0 after an error or at
// the end.
func (j jsonReader) peek() byte {
	for j.err == nil && j.at < j.end {
		b, err := j.src.peek(j.at, 1)
		if err != nil {
			j.err = err
			return 0
		}
		if b[0] != ' ' && b[0] != '\t' && b[0] != '\n' && b[0] != '\r' {
			return b[0]
		}
		j.at++
	}
	return 0
}

// accept goes past b if it is next.
func (j jsonReader) accept(b byte) bool {
	if j.peek() != b || j.err != nil {
		return false
	}
	j.at++
	return true
}

func (j jsonReader) expect(b byte) {
	if !j.accept(b) {
		j.fail(j.at, "want %q", b)
	}
}

// object calls member for each member of an object, with its key; member
// reads the value.
func (j jsonReader) object(member func(key string)) {
	j.expect('{')
	if j.accept('}') {
		return
	}
	for j.err == nil {
		key := j.str()
		j.expect(':')
		if j.err == nil {
			member(key)
		}
		if !j.accept(',') {
			j.expect('}')
			return
		}
	}
}

// array calls element for each element of an array; element reads it.
func (j jsonReader) array(element func()) {
	j.expect('[')
	if j.accept(']') {
		return
	}
	for j.err == nil {
		element()
		if !j.accept(',') {
			j.expect(']')
			return
		}
	}
}

// str reads a string as a name, see [nameBuilder].
func (j jsonReader) str() string {
	var name nameBuilder
	j.expect('"')
	for j.err == nil {
		j.plain(&name)
		switch b := j.u8(); {
		case j.err != nil:
		case b == '"':
			return name.String()
		case b == '\\':
			var r [utf8.UTFMax]byte
			name.write(utf8.AppendRune(r[:0], j.escape()))
		default:
			j.fail(j.at-1, "control character in a string")
		}
	}
	return ""
}

// plain reads bytes up to one that means something, or the end.
func (j jsonReader) plain(name *nameBuilder) {
	for j.err == nil && j.at < j.end {
		data, err := j.src.page(j.at)
		if err != nil {
			j.err = err
			return
		}
		data = data[:min(int64(len(data)), j.end-j.at)]
		n := 0
		for n < len(data) && data[n] != '"' && data[n] != '\\' && data[n] >= ' ' {
			n++
		}
		name.write(data[:n])
		if j.at += int64(n); n < len(data) {
			return
		}
	}
}

// escape reads what follows a backslash; half a surrogate pair is U+FFFD.
func (j jsonReader) escape() rune {
	switch b := j.u8(); b {
	case '"', '\\', '/':
		return rune(b)
	case 'b', 'f', 'n', 'r', 't':
		return ' ' // names have no control characters
	case 'u':
		r := j.hex4()
		if !utf16.IsSurrogate(r) {
			return r
		}
		if next := j.take(2); next == nil || next[0] != '\\' || next[1] != 'u' {
			j.fail(j.at, "half a surrogate pair")
			return utf8.RuneError
		}
		return utf16.DecodeRune(r, j.hex4())
	}
	j.fail(j.at-1, "unknown escape")
	return utf8.RuneError
}

func (j jsonReader) hex4() (r rune) {
	for _, b := range j.take(4) {
		switch {
		case b >= '0' && b <= '9':
			r = r<<4 | rune(b-'0')
		case b|0x20 >= 'a' && b|0x20 <= 'f':
			r = r<<4 | rune(b|0x20-'a'+10)
		default:
			j.fail(j.at-4, "no hexadecimal number")
		}
	}
	return r
}

// number reads a whole number from 0 to 2^63-1.
func (j jsonReader) number() (n uint64) {
	first := j.peek()
	start := j.at
	for j.err == nil && j.at < j.end {
		b := j.peekRaw()
		if b < '0' || b > '9' {
			break
		}
		if n > (1<<63-1-9)/10 {
			j.fail(start, "number too large")
			return 0
		}
		n = n*10 + uint64(b-'0')
		j.at++
	}
	if j.at == start || first == '0' && j.at > start+1 {
		j.fail(start, "want a whole number")
	}
	return n
}

// peekRaw returns the byte at the cursor, white space or not.
func (j jsonReader) peekRaw() byte {
	b, err := j.src.peek(j.at, 1)
	if err != nil || len(b) == 0 {
		j.err = err
		return 0
	}
	return b[0]
}

// skip goes past any value.
func (j jsonReader) skip(depth int) {
	if depth > maxJSONDepth {
		j.fail(j.at, "values nest more than %d deep", maxJSONDepth)
		return
	}
	switch j.peek() {
	case '{':
		j.object(func(string) { j.skip(depth + 1) })
	case '[':
		j.array(func() { j.skip(depth + 1) })
	case '"':
		j.str()
	default:
		j.word()
	}
}

// word goes past a number, true, false or null without looking at it closely.
func (j jsonReader) word() {
	start := j.at
	for j.err == nil && j.at < j.end {
		b := j.peekRaw()
		if b != '-' && b != '+' && b != '.' && (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'z') {
			break
		}
		j.at++
	}
	if j.at == start {
		j.fail(start, "want a value")
	}
}
