package runtime

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// parseNPYHeader reads the text of a .npy header, a Python dictionary with
// exactly the keys descr, fortran_order and shape, in any order. Only what
// NumPy writes is understood, not Python.
func parseNPYHeader(text string) (dtype DType, shape []int64, err error) {
	p := pyParser{rest: text}
	p.expect("{")
	seen := map[string]bool{}
	for !p.accept("}") {
		key := p.quoted()
		p.expect(":")
		if p.err == nil && seen[key] {
			p.fail("key %q twice", key)
		}
		seen[key] = true
		switch {
		case p.err != nil:
		case key == "descr":
			dtype = p.descr()
		case key == "fortran_order":
			if !p.accept("False") {
				p.fail("only C order can be read (fortran_order must be False)")
			}
		case key == "shape":
			shape = p.tuple()
		default:
			p.fail("unknown key %q", key)
		}
		if p.err != nil {
			return "", nil, p.err
		}
		if !p.accept(",") {
			p.expect("}")
			break
		}
	}
	switch {
	case p.err != nil:
		return "", nil, p.err
	case len(seen) != 3:
		return "", nil, errors.New("descr, fortran_order and shape are needed")
	case strings.Trim(p.rest, " \n") != "":
		return "", nil, fmt.Errorf("%.20q follows", p.rest)
	}
	return dtype, shape, nil
}

// pyParser reads the few Python literals of a header. After the first error
// nothing is read any more.
type pyParser struct {
	rest string
	err  error
}

func (p *pyParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// accept skips spaces and token, if it comes next.
func (p *pyParser) accept(token string) bool {
	if p.err != nil {
		return false
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(p.rest, " "), token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *pyParser) expect(token string) {
	if !p.accept(token) {
		p.fail("%q expected before %.20q", token, p.rest)
	}
}

// quoted reads a string in single or double quotes, without escapes.
func (p *pyParser) quoted() string {
	for _, quote := range []string{"'", `"`} {
		if !p.accept(quote) {
			continue
		}
		text, rest, ok := strings.Cut(p.rest, quote)
		if !ok || strings.Contains(text, `\`) {
			break
		}
		p.rest = rest
		return text
	}
	p.fail("string expected before %.20q", p.rest)
	return ""
}

// descr reads a type; '<' and '|' are the same where a byte has no order.
func (p *pyParser) descr() DType {
	text := p.quoted()
	for dtype, known := range npyTypes() {
		if text == known || dtype.Size() == 1 && text == "<"+known[1:] {
			return dtype
		}
	}
	p.fail("type %q cannot be read (little-endian numbers and bools only)", text)
	return ""
}

// tuple reads sizes: (), (3,), (2, 3) or (2, 3,).
func (p *pyParser) tuple() []int64 {
	p.expect("(")
	shape := []int64{}
	for !p.accept(")") {
		p.rest = strings.TrimLeft(p.rest, " ")
		end := strings.IndexFunc(p.rest, func(r rune) bool { return r < '0' || r > '9' })
		if p.err != nil || end <= 0 {
			p.fail("size expected before %.20q", p.rest)
			return nil
		}
		n, err := strconv.ParseInt(p.rest[:end], 10, 64)
		if err != nil || len(shape) >= MaxRank {
			p.fail("sizes %.20q are too many or too large", p.rest)
			return nil
		}
		shape = append(shape, n)
		p.rest = p.rest[end:]
		if p.accept(",") {
			continue
		}
		if len(shape) == 1 {
			p.fail("a tuple of one needs a comma")
			return nil
		}
		p.expect(")")
		break
	}
	return shape
}
