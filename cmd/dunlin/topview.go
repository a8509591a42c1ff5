package main

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// key is what a user pressed.
type key int

const (
	keyNone key = iota
	keyQuit
	keyUp
	keyDown
	keyPageUp
	keyPageDown
	keyHome
	keyEnd
	keySort     // by the next column
	keySortBack // by the one before
	keyReverse
)

// parseKeys reads what a terminal sends: bytes, and the escape sequences of
// ECMA-48 and xterm for keys that have none. What is unknown is left out.
func parseKeys(data []byte) []key {
	var keys []key
	text := string(data)
	for len(text) > 0 {
		found := false
		for _, s := range sequences {
			if rest, ok := strings.CutPrefix(text, s.text); ok {
				keys, text, found = append(keys, s.key), rest, true
				break
			}
		}
		if !found {
			_, n := utf8.DecodeRuneInString(text)
			text = text[n:]
		}
	}
	return keys
}

var sequences = []struct {
	text string
	key  key
}{
	{"\x1b[A", keyUp},
	{"\x1bOA", keyUp},
	{"k", keyUp},
	{"\x1b[B", keyDown},
	{"\x1bOB", keyDown},
	{"j", keyDown},
	{"\x1b[C", keySort},
	{"\x1bOC", keySort},
	{"s", keySort},
	{"\x1b[D", keySortBack},
	{"\x1bOD", keySortBack},
	{"\x1b[5~", keyPageUp},
	{"b", keyPageUp},
	{"\x1b[6~", keyPageDown},
	{" ", keyPageDown},
	{"\x1b[H", keyHome},
	{"g", keyHome},
	{"\x1b[F", keyEnd},
	{"G", keyEnd},
	{"r", keyReverse},
	{"q", keyQuit},
	{"Q", keyQuit},
	{"\x03", keyQuit},
	{"\x04", keyQuit},
}

// sorting is an order of lines, by the name of its column.
type sorting struct {
	column  string
	compare func(a, b fleetLine) int
}

// sortings are all orders; within each, sites and nodes stay together.
func sortings() []sorting {
	return []sorting{
		{"SITE", func(_, _ fleetLine) int { return 0 }},
		{"NODE", func(a, b fleetLine) int { return cmp.Compare(shortNode(a.node), shortNode(b.node)) }},
		{"MODEL", func(a, b fleetLine) int { return cmp.Compare(a.model.Model, b.model.Model) }},
		{"HELD", func(a, b fleetLine) int { return cmp.Compare(a.model.HeldSequence, b.model.HeldSequence) }},
		{"STATE", func(a, b fleetLine) int {
			return cmp.Or(cmp.Compare(a.model.State, b.model.State), cmp.Compare(a.model.Progress, b.model.Progress))
		}},
		{"OUTSIDE IN/OUT", func(a, b fleetLine) int {
			return cmp.Compare(b.node.Links.OutsideIn+b.node.Links.OutsideOut, a.node.Links.OutsideIn+a.node.Links.OutsideOut)
		}},
		{"FREE", func(a, b fleetLine) int { return cmp.Compare(a.node.DiskFreeBytes, b.node.DiskFreeBytes) }},
		{"AGE", func(a, b fleetLine) int { return cmp.Compare(a.node.AgeSeconds, b.node.AgeSeconds) }},
	}
}

// topView is the screen of `dunlin top`: what it shows and how.
type topView struct {
	nodes         []api.FleetNode
	note          string // what is wrong, if anything
	width, height int
	sort          int // index of sortings
	reverse       bool
	offset        int // lines scrolled past
}

// press does what a key asks for; true to quit.
func (v *topView) press(k key) bool {
	page := max(1, v.room())
	switch k {
	case keyQuit:
		return true
	case keyUp:
		v.offset--
	case keyDown:
		v.offset++
	case keyPageUp:
		v.offset -= page
	case keyPageDown:
		v.offset += page
	case keyHome:
		v.offset = 0
	case keyEnd:
		v.offset = len(fleetLines(v.nodes))
	case keySort, keySortBack:
		n := len(sortings())
		v.sort = (v.sort + map[key]int{keySort: 1, keySortBack: n - 1}[k]) % n
	case keyReverse:
		v.reverse = !v.reverse
	}
	v.offset = max(0, min(v.offset, len(fleetLines(v.nodes))-page))
	return false
}

// room is how many lines of the table fit on the screen.
func (v *topView) room() int { return v.height - 3 }

// draw returns the lines of the screen, none longer than its width.
func (v *topView) draw() []string {
	lines := fleetLines(v.nodes)
	order := sortings()[v.sort]
	slices.SortStableFunc(lines, order.compare)
	if v.reverse {
		slices.Reverse(lines)
	}
	heading := fleetHeading()
	for i, column := range heading {
		if column == order.column {
			heading[i] += map[bool]string{false: " ↓", true: " ↑"}[v.reverse]
		}
	}
	var text strings.Builder
	t := newTable(&text, heading...)
	for _, line := range lines {
		t.row(line.cells()...)
	}
	t.flush()
	rows := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	v.offset = max(0, min(v.offset, len(lines)-v.room()))
	out := []string{"dunlin top: " + fleetSummary(v.nodes), cmp.Or(v.note, "q quit   ↑ ↓ scroll   ← → sort   r reverse   * this node   + connected"), rows[0]}
	rows = rows[1:]
	out = append(out, rows[min(v.offset, len(rows)):min(len(rows), v.offset+max(0, v.room()))]...)
	for i := range out {
		out[i] = cut(out[i], v.width)
	}
	return out[:min(len(out), v.height)]
}

// cut returns at most width runes of s.
func cut(s string, width int) string {
	n := 0
	for i := range s {
		if n == width {
			return s[:i]
		}
		n++
	}
	return s
}
