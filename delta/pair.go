package delta

import (
	"context"
	"crypto/sha256"
	"io"
	"slices"

	"github.com/dunlin-mesh/dunlin/codec"
)

// basis is the old region that a new one is coded against.
type basis struct {
	old  int  // its number; -1: none
	sure bool // by name or content; otherwise by likeness
	// converted says that the old region is of another class: whether the new
	// one derives from it is yet to be found.
	converted bool
}

// pairing holds the basis of each new region.
type pairing []basis

// pair finds the basis of each new region: the old region of the same name,
// class and shape; then one of the same content, wherever it is; then the one of
// the same class and size from which it differs least. Whether the basis helps
// is for the coder to find out.
func pair(ctx context.Context, old, next *view, olds, news []region) (pairing, error) {
	pairs := make(pairing, len(news))
	for i := range pairs {
		pairs[i].old = -1
	}
	named := make(map[string]int, len(olds))
	for j := range olds {
		if olds[j].name != "" {
			named[olds[j].name] = j
		}
	}
	for i := range news {
		if j, ok := named[news[i].name]; ok && news[i].name != "" && alike(&news[i], &olds[j]) && sameShape(&news[i], &olds[j]) {
			pairs[i] = basis{old: j, sure: true}
		}
	}
	if err := pairContent(ctx, old, next, olds, news, pairs); err != nil {
		return nil, err
	}
	if err := pairNearest(ctx, old, next, olds, news, pairs); err != nil {
		return nil, err
	}
	pairClasses(olds, news, pairs, named)
	return pairs, nil
}

// alike says whether a can be coded against b element by element.
func alike(a, b *region) bool { return a.class == b.class && a.size == b.size }

// sameShape says whether the sides are the same, or turned.
func sameShape(a, b *region) bool {
	return slices.Equal(a.shape, b.shape) ||
		len(a.shape) == 2 && len(b.shape) == 2 && a.shape[0] == b.shape[1] && a.shape[1] == b.shape[0]
}

// contentBytes is the least size of a region that is looked for by content.
const contentBytes = 32

// pairContent pairs regions of equal content.
func pairContent(ctx context.Context, old, next *view, olds, news []region, pairs pairing) error {
	wanted := map[int64]bool{}
	for i := range news {
		if pairs[i].old < 0 && news[i].size >= contentBytes {
			wanted[news[i].size] = true
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	byContent := map[[sha256.Size]byte]int{}
	for j := range olds {
		if !wanted[olds[j].size] {
			continue
		}
		sum, err := regionSum(ctx, old, &olds[j])
		if err != nil {
			return oldError(err)
		}
		if _, ok := byContent[sum]; !ok {
			byContent[sum] = j
		}
	}
	if len(byContent) == 0 {
		return nil
	}
	for i := range news {
		if pairs[i].old >= 0 || news[i].size < contentBytes {
			continue
		}
		sum, err := regionSum(ctx, next, &news[i])
		if err != nil {
			return newError(err)
		}
		if j, ok := byContent[sum]; ok {
			pairs[i] = basis{old: j, sure: true}
		}
	}
	return nil
}

func regionSum(ctx context.Context, v *view, r *region) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if _, err = io.Copy(h, &contextReader{ctx, io.NewSectionReader(v, r.at, r.size)}); err != nil {
		return sum, err
	}
	copy(sum[:], h.Sum(nil))
	return sum, nil
}

// maxCandidates bounds the old regions that a new one is held against.
const maxCandidates = 64

// pairNearest pairs what is left with the old region of its class and size from
// which it differs least, the first of them if there are several. Two new
// regions may have one basis.
func pairNearest(ctx context.Context, old, next *view, olds, news []region, pairs pairing) error {
	type key struct {
		class codec.Class
		size  int64
	}
	candidates := map[key][]int{}
	for j := range olds {
		if k := (key{olds[j].class, olds[j].size}); olds[j].class != codec.Other && len(candidates[k]) < maxCandidates {
			candidates[k] = append(candidates[k], j)
		}
	}
	var a, b sample
	var diff []byte
	for i := range news {
		list := candidates[key{news[i].class, news[i].size}]
		if pairs[i].old >= 0 || len(list) == 0 {
			continue
		}
		if len(list) == 1 {
			pairs[i].old = list[0]
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.read(next, &news[i]); err != nil {
			return newError(err)
		}
		least := int64(1) << 62
		for _, j := range list {
			if err := b.read(old, &olds[j]); err != nil {
				return oldError(err)
			}
			diff = grow(diff, len(a.data))
			if d := distance(diff, a.data, b.data, news[i].class); d < least {
				least, pairs[i].old = d, j
			}
		}
	}
	return nil
}

// sample is a few runs of a region's bytes, evenly spread.
type sample struct{ data []byte }

const (
	sampleRuns     = 16
	sampleRunBytes = 512
)

func (s *sample) read(v *view, r *region) error {
	if r.size <= sampleRuns*sampleRunBytes {
		s.data = grow(s.data, int(r.size))
		return readFull(v, s.data, r.at)
	}
	s.data = grow(s.data, sampleRuns*sampleRunBytes)
	for i := range int64(sampleRuns) {
		at := (r.size - sampleRunBytes) / (sampleRuns - 1) * i / 8 * 8
		if err := readFull(v, s.data[i*sampleRunBytes:][:sampleRunBytes], r.at+at); err != nil {
			return err
		}
	}
	return nil
}

// pairClasses pairs what is left with an old region of another class and as many
// elements: that of its name, or else the next one of its shape.
func pairClasses(olds, news []region, pairs pairing, named map[string]int) {
	type key struct{ rows, elements uint64 }
	keyOf := func(r *region) key {
		n := elements(r.shape)
		if len(r.shape) == 0 || n == 0 {
			return key{}
		}
		return key{r.shape[0], n}
	}
	free := map[key][]int{}
	for j := range olds {
		if k := keyOf(&olds[j]); k.elements > 1 {
			free[k] = append(free[k], j)
		}
	}
	for i := range news {
		k := keyOf(&news[i])
		if pairs[i].old >= 0 || k.elements <= 1 {
			continue
		}
		j, ok := named[news[i].name]
		if !ok || keyOf(&olds[j]).elements != k.elements || olds[j].class == news[i].class {
			j = -1
			for n, c := range free[k] {
				if olds[c].class != news[i].class {
					j = c
					free[k] = append(free[k][:n:n], free[k][n+1:]...)
					break
				}
			}
		}
		if j >= 0 {
			pairs[i] = basis{old: j, converted: true}
		}
	}
}
