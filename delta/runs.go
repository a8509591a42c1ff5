package delta

import (
	"bytes"
	"context"
)

// run is a part of a region that is, or is not, the same in its basis.
type run struct {
	at, size int64 // from the region's start
	equal    bool
}

const (
	// compareBytes is the granularity at which runs are told apart.
	compareBytes = 4 << 10
	// copyBytes is the least length of an equal run within an array that is
	// copied: a shorter one costs the models less than a step costs the plan.
	copyBytes = 16 << 10
)

// compare tells the runs that are equal to the basis from the others, which begin
// and end at multiples of width, among the size bytes from skip on of the region
// at a of next.
func compare(ctx context.Context, basis *basisReader, next *view, a, skip, size int64, width int) ([]run, error) {
	const piece = 256 << 10
	x, y := make([]byte, min(piece, size)), make([]byte, min(piece, size))
	var blocks []run // of whole blocks, alternating
	for at := skip; at < skip+size; at += piece {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(piece, skip+size-at)
		if err := readFull(next, x[:n], a+at); err != nil {
			return nil, newError(err)
		}
		if _, err := basis.read(y[:n], at); err != nil {
			return nil, oldError(err)
		}
		if bytes.Equal(x[:n], y[:n]) {
			blocks = addRun(blocks, run{at, n, true})
			continue
		}
		for k := int64(0); k < n; k += compareBytes {
			m := min(compareBytes, n-k)
			blocks = addRun(blocks, run{at + k, m, bytes.Equal(x[k:k+m], y[k:k+m])})
		}
	}
	return trim(basis, next, a, merge(blocks), int64(width))
}

// addRun appends r, joined with the run before if that is of its kind.
func addRun(runs []run, r run) []run {
	if last := len(runs) - 1; last >= 0 && runs[last].equal == r.equal {
		runs[last].size += r.size
		return runs
	}
	return append(runs, r)
}

// merge makes equal runs that are not worth a copy part of their neighbours.
func merge(runs []run) []run {
	if len(runs) == 1 {
		return runs
	}
	var out []run
	for i, r := range runs {
		edge := i == 0 || i == len(runs)-1
		if r.equal && r.size < copyBytes && !edge {
			r.equal = false
		}
		out = addRun(out, r)
	}
	return out
}

// trim moves the ends of runs that differ to the first and last element that
// does.
func trim(basis *basisReader, next *view, a int64, runs []run, width int64) ([]run, error) {
	var out []run
	x, y := make([]byte, compareBytes), make([]byte, compareBytes)
	for _, r := range runs {
		if r.equal {
			out = addRun(out, r)
			continue
		}
		n := min(r.size, compareBytes)
		if err := readFull(next, x[:n], a+r.at); err != nil {
			return nil, newError(err)
		}
		if _, err := basis.read(y[:n], r.at); err != nil {
			return nil, oldError(err)
		}
		head := int64(0)
		for head < n && x[head] == y[head] {
			head++
		}
		if err := readFull(next, x[:n], a+r.at+r.size-n); err != nil {
			return nil, newError(err)
		}
		if _, err := basis.read(y[:n], r.at+r.size-n); err != nil {
			return nil, oldError(err)
		}
		tail := int64(0)
		for tail < n && x[n-1-tail] == y[n-1-tail] {
			tail++
		}
		// The distance to the region's start is what aligns elements.
		from := (r.at + head) / width * width
		to := (r.at + r.size - tail + width - 1) / width * width
		from, to = max(from, r.at), min(to, r.at+r.size)
		if from > r.at {
			out = addRun(out, run{r.at, from - r.at, true})
		}
		if to > from {
			out = addRun(out, run{from, to - from, false})
		}
		if end := r.at + r.size; end > to {
			out = addRun(out, run{to, end - to, true})
		}
	}
	return out, nil
}
