package sections

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/dunlin-mesh/dunlin/codec"
)

const (
	// MaxCols is the longest row that Cols finds.
	MaxCols = 16384
	// minRows is how many rows there must be.
	minRows = 4
	// segmentElements is how many elements in a row are compared with each other,
	// and maxSegments how often: half a million elements of an array of any size.
	// With MaxCols more a segment is a power of two.
	segmentElements = 7 * MaxCols
	maxSegments     = 4
	// minScore is by how many standard deviations a row length must stand out.
	// Of the noise of MaxCols candidates the greatest is at about 4.
	minScore = 8
	// minHeight is the least correlation, beyond that of places in between, of
	// elements one row apart. Less is of no use to a coder.
	minHeight = 0.01
	// teeth is how many multiples of a row length are looked at.
	teeth = 16
	// aroundLags is how many lags to each side tell what is usual.
	aroundLags = 12
)

// Cols returns the length of a row, in elements, of the array that lies in the
// length bytes of r from offset on: the lag at which elements resemble each
// other, in magnitude or value, more than at lags nearby. Of several the one
// that explains most is taken, the smallest of its multiples. 0 says that none
// stands out, that the array is shorter than four rows of any length that
// does, or that class is Other; rows are of 2 to [MaxCols] elements otherwise.
// It reads at most 4 MiB (8 byte elements), whatever the length. An error is
// the reader's, the context's or [ErrRange]. Safe for concurrent use if r is.
func Cols(ctx context.Context, r io.ReaderAt, offset, length int64, class codec.Class) (int, error) {
	if err := checkRange(offset, length); err != nil {
		return 0, err
	}
	width := int64(class.Width())
	n := length / width
	maxLag := int(min(MaxCols, n/minRows))
	if class == codec.Other || maxLag < 2 {
		return 0, nil
	}
	count, segments := int(min(n, segmentElements)), int64(1)
	if n > segmentElements {
		segments = min(maxSegments, n/segmentElements)
	}
	c := newCorrelator(count, maxLag)
	buf := make([]byte, int64(count)*width)
	for i := range segments {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		at := int64(0)
		if segments > 1 {
			at = (n - int64(count)) / (segments - 1) * i
		}
		if got, err := r.ReadAt(buf, offset+at*width); got < len(buf) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, fmt.Errorf("sections: read %d bytes at %d: %w", len(buf), offset+at*width, err)
		}
		c.add(buf, class)
	}
	return rowLength(c.correlations()), nil
}

// rowLength returns the lag that stands out of corr, where corr[lag] is the
// correlation at that lag, or 0.
func rowLength(corr []float64) int {
	maxLag := len(corr) - 1
	height := heights(corr)
	// Of normal noise half the heights are within 0.6745 standard deviations.
	sizes := make([]float64, 0, len(corr))
	for _, h := range height[2:] {
		sizes = append(sizes, max(h, -h))
	}
	slices.Sort(sizes)
	sigma := max(sizes[len(sizes)/2]/0.6745, 1e-9)
	score := make([]float64, len(corr))
	best := 0
	for lag := 2; lag <= maxLag; lag++ {
		sum, n := 0.0, min(teeth, maxLag/lag)
		for k := 1; k <= n; k++ {
			sum += height[k*lag]
		}
		if height[lag] < 2*sigma || sum < minHeight*float64(n) {
			continue
		}
		score[lag] = sum / (sigma * math.Sqrt(float64(n)))
		if score[lag] > score[best] {
			best = lag
		}
	}
	if score[best] < minScore {
		return 0
	}
	for lag := 2; lag < best; lag++ {
		if best%lag == 0 && score[lag] > 0.7*score[best] {
			return lag
		}
	}
	return best
}

// heights returns how much higher corr is at each lag from 2 on than the median
// of the lags around it.
func heights(corr []float64) []float64 {
	height, around := make([]float64, len(corr)), make([]float64, 0, 2*aroundLags+2)
	for lag := 1 - aroundLags; lag < len(corr); lag++ {
		if next := lag + aroundLags; next < len(corr) {
			at, _ := slices.BinarySearch(around, corr[next])
			around = slices.Insert(around, at, corr[next])
		}
		if gone := lag - aroundLags - 1; gone >= 1 {
			at, _ := slices.BinarySearch(around, corr[gone])
			around = slices.Delete(around, at, at+1)
		}
		if lag >= 2 {
			height[lag] = corr[lag] - around[len(around)/2]
		}
	}
	return height
}
