package manifest

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// MaxRanges bounds the number of spans in a set that a peer sends.
const MaxRanges = 1 << 15

// Span is the chunk indices From <= i < To.
type Span struct {
	_        struct{} `cbor:",toarray"`
	From, To uint32
}

// Ranges is a set of chunk indices: spans in order, not empty, neither
// overlapping nor touching, so that equal sets are equal slices. The zero
// value is the empty set. Operations return new sets and leave their operands
// alone.
type Ranges []Span

// NewRanges returns the set of the chunks from (included) to (excluded).
func NewRanges(from, to int) Ranges {
	if from >= to {
		return nil
	}
	return Ranges{{From: uint32(from), To: uint32(to)}}
}

// Validate says whether r is in the one form that the type allows and has at
// most [MaxRanges] spans.
func (r Ranges) Validate() error {
	if len(r) > MaxRanges {
		return fmt.Errorf("%d spans, at most %d", len(r), MaxRanges)
	}
	for i, s := range r {
		if s.From >= s.To || i > 0 && s.From <= r[i-1].To {
			return fmt.Errorf("span %d-%d is empty, out of order or touches the one before", s.From, s.To)
		}
	}
	return nil
}

// Count returns the number of chunks in r.
func (r Ranges) Count() (n int) {
	for _, s := range r {
		n += int(s.To - s.From)
	}
	return n
}

// Contains says whether chunk i is in r.
func (r Ranges) Contains(i int) bool {
	_, found := slices.BinarySearchFunc(r, uint32(i), func(s Span, i uint32) int {
		switch {
		case s.To <= i:
			return -1
		case s.From > i:
			return 1
		}
		return 0
	})
	return found
}

// End returns the index after the last chunk in r, 0 for the empty set.
func (r Ranges) End() int {
	if len(r) == 0 {
		return 0
	}
	return int(r[len(r)-1].To)
}

// All yields the chunk indices in r in order.
func (r Ranges) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, s := range r {
			for i := s.From; i < s.To; i++ {
				if !yield(int(i)) {
					return
				}
			}
		}
	}
}

// Union returns the chunks in r or in o.
func (r Ranges) Union(o Ranges) Ranges {
	out := make(Ranges, 0, len(r)+len(o))
	for len(r) > 0 || len(o) > 0 {
		var next Span
		if len(o) == 0 || len(r) > 0 && r[0].From <= o[0].From {
			next, r = r[0], r[1:]
		} else {
			next, o = o[0], o[1:]
		}
		if n := len(out); n > 0 && next.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, next.To)
		} else {
			out = append(out, next)
		}
	}
	return slices.Clip(out)
}

// Minus returns the chunks in r that are not in o.
func (r Ranges) Minus(o Ranges) Ranges {
	var out Ranges
	for _, s := range r {
		for len(o) > 0 && o[0].To <= s.From {
			o = o[1:]
		}
		for _, cut := range o {
			if cut.From >= s.To {
				break
			}
			if cut.From > s.From {
				out = append(out, Span{From: s.From, To: cut.From})
			}
			s.From = min(cut.To, s.To)
		}
		if s.From < s.To {
			out = append(out, s)
		}
	}
	return out
}

// Intersect returns the chunks in both r and o.
func (r Ranges) Intersect(o Ranges) Ranges { return r.Minus(r.Minus(o)) }

// Add returns r with chunk i.
func (r Ranges) Add(i int) Ranges { return r.Union(NewRanges(i, i+1)) }

// String returns r as people write it, such as "0-3,7".
func (r Ranges) String() string {
	var b strings.Builder
	for i, s := range r {
		if i > 0 {
			b.WriteByte(',')
		}
		if s.To == s.From+1 {
			fmt.Fprintf(&b, "%d", s.From)
		} else {
			fmt.Fprintf(&b, "%d-%d", s.From, s.To-1)
		}
	}
	return b.String()
}
