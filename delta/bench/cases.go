package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dunlin-mesh/dunlin/internal/synth"
)

// oneCase is one update to measure. Exactly one of old, class and speed says
// where its files come from.
type oneCase struct {
	name string
	kind kind

	old, new string // of the corpus

	class *synth.Class
	speed *speedCase

	// What the corpus has for it, in bytes; 0 unknown.
	tableTool            string
	tableBest, reference int64
	limit                float64 // largest share of the full file; 0 none
}

// kind of a case.
type kind string

const (
	pairCase      kind = "pair"
	classCase     kind = "class"
	unrelatedCase kind = "unrelated"
	speedKind     kind = "speed"
)

// allCases returns the corpus's pairs, the classes and the speed cases.
func allCases(corpus string) ([]oneCase, error) {
	f, err := os.Open(filepath.Join(corpus, "PAIRS.tsv"))
	if err != nil {
		return nil, err
	}
	cases, err := parsePairs(f, corpus)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	for _, class := range synth.Classes() {
		c := oneCase{
			name: class.Name, kind: classCase, class: &class, limit: class.Limit,
			tableBest: class.Best, reference: class.Reference,
		}
		if class.Unrelated {
			c.kind = unrelatedCase
		}
		cases = append(cases, c)
	}
	for _, speed := range speedCases {
		cases = append(cases, oneCase{name: speed.name, kind: speedKind, speed: &speed})
	}
	return cases, nil
}

// pairsHeader is PAIRS.tsv's first line.
var pairsHeader = []string{"pair", "old", "new", "what_changed", "best_tool", "best_tool_bytes", "reference_coder_bytes"}

// parsePairs reads PAIRS.tsv; its files are below dir.
func parsePairs(r io.Reader, dir string) ([]oneCase, error) {
	table := csv.NewReader(r)
	table.Comma = '\t'
	table.LazyQuotes = true
	table.FieldsPerRecord = len(pairsHeader)
	records, err := table.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(records) == 0 || strings.Join(records[0], "\t") != strings.Join(pairsHeader, "\t") {
		return nil, fmt.Errorf("the first line is not %q", strings.Join(pairsHeader, "\t"))
	}
	var cases []oneCase
	for _, record := range records[1:] {
		c := oneCase{name: record[0], kind: pairCase, tableTool: record[4]}
		for i, path := range []*string{&c.old, &c.new} {
			if !filepath.IsLocal(filepath.FromSlash(record[1+i])) {
				return nil, fmt.Errorf("pair %s: path %q leads out of the corpus", c.name, record[1+i])
			}
			*path = filepath.Join(dir, filepath.FromSlash(record[1+i]))
		}
		for i, n := range []*int64{&c.tableBest, &c.reference} {
			if *n, err = strconv.ParseInt(record[5+i], 10, 64); err != nil || *n < 1 {
				return nil, fmt.Errorf("pair %s: %q is no number of bytes", c.name, record[5+i])
			}
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// files of a case, on disk.
type files struct {
	old, new string
	adapter  string // of a low-rank update, "" for none
	full     int64  // bytes of new
	oldEmpty bool
}

// prepare writes the files of a class or speed case into dir. The program runs
// itself for it, because the kernel counts a parent's memory as a child's peak
// (execve keeps the high-water mark of what vfork shared): so the measuring
// process must stay small.
func prepare(cases []oneCase, name, corpus, dir string) error {
	for _, c := range cases {
		switch {
		case c.name != name:
			continue
		case c.class != nil:
			u, err := c.class.Make(synth.Open(corpus))
			if err != nil {
				return err
			}
			if u.Factors != nil {
				err = os.WriteFile(filepath.Join(dir, "adapter.safetensors"), u.Factors, 0o644)
			}
			return errors.Join(err,
				os.WriteFile(filepath.Join(dir, "old"+u.OldExt), u.Old, 0o644),
				os.WriteFile(filepath.Join(dir, "new"+u.NewExt), u.New, 0o644))
		case c.speed != nil:
			return c.speed.write(dir)
		}
	}
	return fmt.Errorf("no case %q makes files", name)
}

// prepared finds what prepare wrote.
func prepared(dir string) (files, error) {
	var f files
	entries, err := os.ReadDir(dir)
	if err != nil {
		return f, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())) {
		case "old":
			f.old = path
		case "new":
			f.new = path
		case "adapter":
			f.adapter = path
		}
	}
	if f.old == "" || f.new == "" {
		return f, fmt.Errorf("no old and new file in %s", dir)
	}
	return f.sized()
}

func (f files) sized() (files, error) {
	info, err := os.Stat(f.new)
	if err != nil {
		return f, err
	}
	f.full = info.Size()
	if info, err = os.Stat(f.old); err != nil {
		return f, err
	}
	f.oldEmpty = info.Size() == 0
	return f, nil
}
