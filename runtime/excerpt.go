package runtime

import (
	"fmt"
	"strings"
	"unicode"
)

// excerpt is a writer that keeps the first and the last part of what is
// written to it, so that a flood costs nothing.
type excerpt struct {
	half    int
	first   []byte
	last    []byte // a ring once it is full; at is its oldest byte
	at      int
	dropped int64
}

// newExcerpt keeps at most limit bytes.
func newExcerpt(limit int) *excerpt { return &excerpt{half: limit / 2} }

// Write keeps what there is room for; it never fails.
func (e *excerpt) Write(p []byte) (int, error) {
	n := len(p)
	head := min(e.half-len(e.first), len(p))
	e.first = append(e.first, p[:head]...)
	p = p[head:]
	if over := len(p) - e.half; over > 0 {
		e.dropped += int64(over)
		p = p[over:]
	}
	for _, b := range p {
		if len(e.last) < e.half {
			e.last = append(e.last, b)
			continue
		}
		e.last[e.at] = b
		e.at = (e.at + 1) % e.half
		e.dropped++
	}
	return n, nil
}

// String is what was kept, on one line, without control characters.
func (e *excerpt) String() string {
	var b strings.Builder
	b.Write(e.first)
	if e.dropped > 0 {
		fmt.Fprintf(&b, " [%d bytes left out] ", e.dropped)
	}
	b.Write(e.last[e.at:])
	b.Write(e.last[:e.at])
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, b.String())
	return strings.Join(strings.Fields(clean), " ")
}

// said is ": TEXT", or nothing where nothing was written.
func (e *excerpt) said() string {
	if text := e.String(); text != "" {
		return ": " + text
	}
	return ""
}
