package sections

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/dunlin-mesh/dunlin/codec"
)

// ErrRange: the range is none: it has a negative offset or length, or ends
// beyond what an int64 counts. The caller has a mistake to mend.
var ErrRange = errors.New("sections: no such range")

// Section is a run of bytes of one class.
type Section struct {
	Offset, Length int64       // in the file, in bytes; Length is a positive multiple of Class.Width()
	Class          codec.Class // Other for what is no array
	Cols           int         // elements of a row, at least 2; 0 where none stands out
}

const (
	// minArrayBytes is the shortest array; what is shorter becomes Other.
	minArrayBytes = 32
	// minColsElements is the shortest array whose row length is looked for.
	minColsElements = 256
)

// Find cuts length bytes of r from offset on into sections: in order, without a
// gap, none empty, no two of Other side by side. An error is the reader's, the
// context's or [ErrRange]. Safe for concurrent use if r is.
func Find(ctx context.Context, r io.ReaderAt, offset, length int64) ([]Section, error) {
	if err := checkRange(offset, length); err != nil || length == 0 {
		return nil, err
	}
	s := &scanner{ctx: ctx, r: r, offset: offset, length: length, logs: newLogs(), table: stateTable()}
	windows, states, err := s.survey()
	if err != nil {
		return nil, err
	}
	runs, err := s.refine(windows, states)
	if err != nil {
		return nil, err
	}
	runs, err = s.borders(runs)
	if err != nil {
		return nil, err
	}
	found := s.sections(runs)
	for i := range found {
		f := &found[i]
		if f.Class == codec.Other || f.Length < minColsElements*int64(f.Class.Width()) {
			continue
		}
		if f.Cols, err = Cols(ctx, r, f.Offset, f.Length, f.Class); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func checkRange(offset, length int64) error {
	if offset < 0 || length < 0 || offset > math.MaxInt64-length {
		return fmt.Errorf("%w: %d bytes at %d", ErrRange, length, offset)
	}
	return nil
}

// sections makes sections of runs, arrays of whole elements, what is left over
// Other.
func (s *scanner) sections(runs []run) []Section {
	var found []Section
	add := func(from, to int64, class codec.Class) {
		if from == to {
			return
		}
		if last := len(found) - 1; last >= 0 && class == codec.Other && found[last].Class == codec.Other {
			found[last].Length += to - from
			return
		}
		found = append(found, Section{Offset: s.offset + from, Length: to - from, Class: class})
	}
	for i, r := range runs {
		end := s.length
		if i+1 < len(runs) {
			end = runs[i+1].at
		}
		st := s.table[r.state]
		from := min(st.align(r.at), end)
		to := end - (end-from)%int64(st.width)
		if to-from < minArrayBytes {
			add(r.at, end, codec.Other)
			continue
		}
		add(r.at, from, codec.Other)
		add(from, to, st.class)
		add(to, end, codec.Other)
	}
	return found
}
