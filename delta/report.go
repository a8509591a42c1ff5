package delta

// Report says what a delta is made of.
type Report struct {
	OldBytes   int64 `json:"old_bytes"`   // the old file
	NewBytes   int64 `json:"full_bytes"`  // the new file
	DeltaBytes int64 `json:"delta_bytes"` // the delta, header and all
	// Parts are the tensors and the bytes between them, in order; those of
	// tables, records and the header are in none.
	Parts []Part `json:"parts"`
}

// Part is a tensor of the new file, or a run of bytes that is none.
type Part struct {
	Name  string `json:"name,omitempty"`
	DType string `json:"dtype,omitempty"`
	Bytes int64  `json:"bytes"`
	Same  int64  `json:"same_bytes"`  // of them, equal to old bytes or to what these become
	Coded int64  `json:"delta_bytes"` // what it takes in the delta
	// Encoding is how the first of it that is not equal to old bytes is coded:
	// identical, repeat, weights, planes, text or block.
	Encoding string `json:"encoding"`
	region   *region
}

// tally collects the parts of a frame.
type tally struct{ parts []Part }

func (t *tally) add(p *piece, kind opKind, coded int) {
	part := Part{Name: p.region.name, DType: string(p.region.dtype), Bytes: p.size, Coded: int64(coded), Encoding: kind.String(), region: p.region}
	if p.equal {
		part.Same = p.size
	}
	t.parts = join(t.parts, part)
}

func (r *Report) add(t *tally) {
	for _, p := range t.parts {
		r.Parts = join(r.Parts, p)
	}
}

// join appends p, or adds it to the last part if that is of the same region.
func join(parts []Part, p Part) []Part {
	last := len(parts) - 1
	if last < 0 || parts[last].region != p.region {
		return append(parts, p)
	}
	l := &parts[last]
	l.Bytes, l.Same, l.Coded = l.Bytes+p.Bytes, l.Same+p.Same, l.Coded+p.Coded
	if l.Encoding == opCopy.String() {
		l.Encoding = p.Encoding
	}
	return parts
}
