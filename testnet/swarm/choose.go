package main

import (
	"io"
	"slices"
)

// systemNames lists every system, ours first.
func systemNames() []string { return []string{"dunlin"} }

// chosen returns the names of the systems to run a case with.
func (s *settings) chosen(c benchCase, stderr io.Writer) []string {
	var out []string
	for _, name := range systemNames() {
		if len(s.systems) > 0 && !slices.Contains(s.systems, name) {
			continue
		}
		out = append(out, name)
	}
	return out
}

func (s *settings) newSystem(name string, c benchCase, line *timeline) system {
	return &dunlin{binary: s.dunlin, preset: c.preset, line: line}
}
