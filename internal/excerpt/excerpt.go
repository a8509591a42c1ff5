// Package excerpt keeps a bounded part of what a child process says, in a form
// that can stand in an error.
package excerpt

import (
	"fmt"
	"strings"
	"sync"
	"unicode"
)

// Excerpt is a writer that keeps the first and the last part of what is
// written to it, so that a flood costs nothing. Safe for concurrent use.
type Excerpt struct {
	mu      sync.Mutex // owns all of the below
	half    int
	first   []byte
	last    []byte // a ring once it is full; at is its oldest byte
	at      int
	dropped int64
}

// New returns an Excerpt that keeps at most limit bytes, half of them from the
// beginning and half from the end.
func New(limit int) *Excerpt { return &Excerpt{half: limit / 2} }

// Write keeps what there is room for; it never fails.
func (e *Excerpt) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
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
func (e *Excerpt) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
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

// Said is ": TEXT", or nothing where nothing was written.
func (e *Excerpt) Said() string {
	if text := e.String(); text != "" {
		return ": " + text
	}
	return ""
}
