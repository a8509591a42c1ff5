package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// foldedRows is how many tensors and how many files are shown unless all are
	// asked for: the dearest ones.
	foldedRows = 20
	// foldedName is how much of a name is shown then.
	foldedName = 44
)

// write writes the result for people.
func (r *diffResult) write(w io.Writer, all bool) {
	fmt.Fprintf(w, "old  %s, %s\nnew  %s, %s\n", plain(r.Old), size(uint64(r.OldBytes)), plain(r.New), size(uint64(r.FullBytes)))
	if len(r.Files) > 1 || len(r.Files) == 1 && r.Files[0].State != fileChanged {
		r.writeFiles(w, all)
	}
	if len(r.Tensors) > 0 {
		r.writeTensors(w, all)
		r.writeEncodings(w)
	}
	fmt.Fprintf(w, "\ntotal  %s as a delta, %s in full (%s); coded in %s, decoded and verified in %s\n",
		size(uint64(r.DeltaBytes)), size(uint64(r.FullBytes)), percent(r.DeltaBytes, r.FullBytes),
		span(time.Duration(r.SecondsEncode*float64(time.Second))), span(time.Duration(r.SecondsDecode*float64(time.Second))))
	if len(r.Rates) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := newTable(w, "LINK", "FULL", "DELTA")
	for _, rate := range r.Rates {
		t.row(rateText(rate.BitsPerSecond), transferTime(rate.FullSeconds), transferTime(rate.DeltaSeconds))
	}
	t.flush()
}

// transferTime writes a time on a link, which may be longer than a Duration.
func transferTime(seconds float64) string {
	const day = 24 * 3600
	if seconds >= 10*day {
		return fmt.Sprintf("%.0f days", seconds/day)
	}
	return span(time.Duration(seconds * float64(time.Second)))
}

func (r *diffResult) writeFiles(w io.Writer, all bool) {
	shown, rest := fold(r.Files, all,
		func(f diffFile) int {
			if f.State == fileSame {
				return 1
			}
			return 0
		},
		func(f diffFile) int64 { return f.DeltaBytes })
	fmt.Fprintln(w)
	t := newTable(w, "FILE", "STATE", "BYTES", "DELTA")
	for _, f := range shown {
		state := f.State
		if f.From != "" {
			state += ", was " + name(f.From, all)
		}
		t.row(name(f.Name, all), state, size(uint64(f.FullBytes)), size(uint64(f.DeltaBytes)))
	}
	for i, list := range rest {
		if len(list) == 0 {
			continue
		}
		full, coded := int64(0), int64(0)
		for _, f := range list {
			full, coded = full+f.FullBytes, coded+f.DeltaBytes
		}
		t.row(count(len(list), "file"), []string{"more", fileSame}[i], size(uint64(full)), size(uint64(coded)))
	}
	t.flush()
}

// The kinds of parts that are summed up.
const (
	manyTensors = iota
	sameParts
	otherBytes // what is between tensors, and no array
)

func foldPart(p diffTensor) int {
	switch {
	case p.Same == p.Bytes:
		return sameParts
	case p.Name == "" && (p.Encoding == "text" || p.Encoding == "block"):
		return otherBytes
	}
	return manyTensors
}

func (r *diffResult) writeTensors(w io.Writer, all bool) {
	shown, rest := fold(r.Tensors, all, foldPart, func(p diffTensor) int64 { return p.Coded })
	several := slices.ContainsFunc(r.Tensors, func(p diffTensor) bool { return p.File != r.Tensors[0].File })
	fmt.Fprintln(w)
	t := newTable(w, "TENSOR", "TYPE", "SHAPE", "BYTES", "SAME", "DELTA", "OF IT", "ENCODING")
	for _, p := range shown {
		label := cmp.Or(p.Name, "(no name)")
		if several {
			label = p.File + ": " + label
		}
		t.row(name(label, all), plain(p.DType), shapeText(p.Shape), size(uint64(p.Bytes)), percent(p.Same, p.Bytes),
			size(uint64(p.Coded)), percent(p.Coded, p.Bytes), p.Encoding)
	}
	for i, list := range rest {
		if len(list) == 0 {
			continue
		}
		var sum diffTensor
		for _, p := range list {
			sum.Bytes, sum.Same, sum.Coded = sum.Bytes+p.Bytes, sum.Same+p.Same, sum.Coded+p.Coded
		}
		what := count(len(list), []string{"more tensor", "unchanged part", "part of graph and text"}[i])
		t.row(what, "", "", size(uint64(sum.Bytes)), percent(sum.Same, sum.Bytes), size(uint64(sum.Coded)), percent(sum.Coded, sum.Bytes), "")
	}
	t.flush()
}

func (r *diffResult) writeEncodings(w io.Writer) {
	names := slices.SortedFunc(maps.Keys(r.Encodings), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Encodings[b].DeltaBytes, r.Encodings[a].DeltaBytes), strings.Compare(a, b))
	})
	fmt.Fprintln(w)
	t := newTable(w, "ENCODING", "BYTES", "DELTA", "OF THEM")
	for _, n := range names {
		e := r.Encodings[n]
		t.row(n, size(uint64(e.Bytes)), size(uint64(e.DeltaBytes)), percent(e.DeltaBytes, e.Bytes))
	}
	t.flush()
}

// fold returns the rows to show, and those that are summed up, by kind. Unless
// all are wanted only rows of kind 0 are shown, and of them the dearest, the
// dearest first, if they are many.
func fold[T any](rows []T, all bool, kind func(T) int, cost func(T) int64) (shown []T, rest [3][]T) {
	if all {
		return rows, rest
	}
	for _, row := range rows {
		if k := kind(row); k != 0 {
			rest[k] = append(rest[k], row)
		} else {
			shown = append(shown, row)
		}
	}
	if len(shown) > foldedRows {
		slices.SortStableFunc(shown, func(a, b T) int { return cmp.Compare(cost(b), cost(a)) })
		shown, rest[0] = shown[:foldedRows], shown[foldedRows:]
	}
	return shown, rest
}

// count writes a number of things; what stands before an "of" is counted.
func count(n int, what string) string {
	if n == 1 {
		return "(1 " + what + ")"
	}
	first, rest, _ := strings.Cut(what, " of ")
	if rest != "" {
		rest = " of " + rest
	}
	return fmt.Sprintf("(%d %ss%s)", n, first, rest)
}

func shapeText(shape []uint64) string {
	dims := make([]string, len(shape))
	for i, d := range shape {
		dims[i] = strconv.FormatUint(d, 10)
	}
	return strings.Join(dims, "x")
}

// name writes a name from a file for people: whole, or its two ends.
func name(text string, all bool) string {
	text = plain(text)
	if n := utf8.RuneCountInString(text); !all && n > foldedName {
		runes := []rune(text)
		return string(runes[:foldedName/2-1]) + "…" + string(runes[n-foldedName/2:])
	}
	return text
}

// plain writes text from a file so that it does nothing to a terminal.
func plain(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsGraphic(r) || r == utf8.RuneError }) {
		return text
	}
	return strings.Trim(strconv.QuoteToGraphic(text), `"`)
}
