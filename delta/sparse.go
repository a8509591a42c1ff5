package delta

import (
	"context"

	"github.com/dunlin-mesh/dunlin/codec/weights"
)

const (
	// sparseShare is the share of elements, in percent, above which no array is
	// sparse: with as many changes, mixing tells better where they are.
	sparseShare = 8
	// sparseLeast is how many elements a sparse array has: smaller ones take no
	// time worth saving.
	sparseLeast = 1 << 12
	// sparseSample is how many elements of a sample are coded both ways.
	sparseSample = 1 << 15
	// aloneSample is how many are coded without basis, which hardly ever helps
	// those that mostly equal theirs.
	aloneSample = 1 << 12
)

// chooseSparse makes o a sparse array if few of its elements differ from their
// basis, and where they do cannot be foretold well enough to be told in fewer
// bytes: as it can where a row changed, or a quantised weight was about to be
// rounded otherwise. It looks at an excerpt and, if that is for it, at all of data.
func chooseSparse(ctx context.Context, f *frameCoder, o *op, s excerpt, data []byte) (bool, error) {
	width := o.class.Width()
	params, share := weights.MeasureSparse(o.class, o.cols, s.basis, s.data)
	if len(data) < sparseLeast*width || share*100 > sparseShare {
		return false, nil
	}
	// Time matters more than the last bytes: half a per cent more is as good.
	few := s.head(sparseSample, width)
	if trialWith(ctx, o, params, few)*1000 > trial(ctx, o, few)*1005 {
		return false, nil
	}
	few = s.head(aloneSample, width)
	if trialWith(ctx, o, params, few) >= trial(ctx, o, excerpt{data: few.data}) {
		return false, nil
	}
	changed, err := f.changed(o, data)
	if err != nil || changed*100 > sparseShare*(len(data)/width) {
		return false, err
	}
	o.kind, o.params = opSparse, params
	return true, nil
}

// head returns the first n elements.
func (s excerpt) head(n, width int) excerpt {
	n = min(n, len(s.data)/width)
	s.data, s.basis = s.data[:n*width], s.basis[:n*width]
	if s.rest != nil {
		s.rest = s.rest[:n]
	}
	return s
}

// changed returns how many elements of a step differ from their basis.
func (f *frameCoder) changed(o *op, data []byte) (n int, err error) {
	basis, err := f.basisOf(o)
	if err != nil {
		return 0, err
	}
	for at := 0; at < len(data); at += sparseBytes {
		p := data[at:min(at+sparseBytes, len(data))]
		f.basis = grow(f.basis, len(p))
		if _, err := basis.read(f.basis, o.basis.skip+int64(at)); err != nil {
			return 0, oldError(err)
		}
		n += weights.Changed(o.class, f.basis, p)
	}
	return n, nil
}
