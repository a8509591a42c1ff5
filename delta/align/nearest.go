package align

import (
	"cmp"
	"context"
	"math"
	"slices"
)

const (
	fewProducts   = 1 << 23 // up to here every point is compared with every other at once
	bruteProducts = 1 << 28 // and up to here if a sample of points is worth it
	mostProducts  = 1 << 32 // up to here they are compared if nothing less helps
	probes        = 64      // points that are tried first where there are many
	projections   = 16      // orders in which near points are looked for
	window        = 16      // points to either side in an order
)

// neighbour is the nearest points of one: how far, from 0 for equal to 2 for
// opposite, in units of both points' squared lengths.
type neighbour struct {
	index         int32 // -1: none
	first, second float32
}

var nobody = neighbour{index: -1, first: math.MaxFloat32, second: math.MaxFloat32}

// offer takes a point in its order of index, or one that is there already.
func (n *neighbour) offer(index int32, distance float32) {
	switch {
	case index == n.index:
	case distance < n.first || distance == n.first && index < n.index:
		n.index, n.first, n.second = index, distance, n.first
	case distance < n.second:
		n.second = distance
	}
}

// clear says whether the nearest is much nearer than the next.
func (n *neighbour) clear(ratio float32) bool {
	return n.index >= 0 && n.first < 0.9 && n.first < ratio*n.second
}

// byDistance matches points that are each other's nearest; those are sure
// that are clearly nearer than the next. Where there are very many points it
// gives up if few of a sample are clear.
func byDistance(ctx context.Context, old, now points) (*match, error) {
	n := int64(now.len())
	products := n * n * int64(old.dims)
	if products <= fewProducts {
		return byNearest(ctx, old, now, everyone)
	}
	sampled, err := clearShare(ctx, old, now)
	if err != nil {
		return nil, err
	}
	if sampled < 1.0/16 {
		return newMatch(int(n)), nil
	}
	if products <= bruteProducts {
		return byNearest(ctx, old, now, everyone)
	}
	m, err := byNearest(ctx, old, now, vicinity)
	if err != nil || m.share() >= 0.75*sampled || products > mostProducts {
		return m, err
	}
	return byNearest(ctx, old, now, everyone)
}

// byNearest is byDistance by one way to find neighbours.
func byNearest(ctx context.Context, old, now points, find func(ctx context.Context, old, now points) (ofNew, ofOld []neighbour, err error)) (*match, error) {
	ofNew, ofOld, err := find(ctx, old, now)
	if err != nil {
		return nil, err
	}
	m := newMatch(now.len())
	ratio := clearRatio(old.dims)
	for i, n := range ofNew {
		if n.index < 0 || ofOld[n.index].index != int32(i) || n.first >= 0.9 {
			continue
		}
		m.to[i] = n.index
		m.sure[i] = n.clear(ratio) && ofOld[n.index].clear(ratio)
	}
	return m, nil
}

// clearRatio is what a nearest point's distance must be below, as a part of
// the next one's. Strangers are about equally far in many dimensions, and in
// few one comes near by chance.
func clearRatio(dims int) float32 {
	switch {
	case dims >= 64:
		return 0.8
	case dims >= 16:
		return 0.6
	}
	return 0.3
}

// clearShare returns the part of a sample of new points that clearly have one
// nearest old one.
func clearShare(ctx context.Context, old, now points) (float64, error) {
	n := min(probes, now.len())
	pick := make([]int32, n)
	for k := range pick {
		pick[k] = int32(int64(k) * int64(now.len()) / int64(n))
	}
	ofNew, _, err := everyone(ctx, old, now.pick(pick))
	if err != nil {
		return 0, err
	}
	found := 0
	for _, x := range ofNew {
		if x.clear(clearRatio(old.dims)) {
			found++
		}
	}
	return float64(found) / float64(n), nil
}

// everyone finds each new point's nearest old ones and each old point's
// nearest new ones. Of equal distances the lowest index is nearer.
func everyone(ctx context.Context, old, now points) (ofNew, ofOld []neighbour, err error) {
	ofNew, ofOld = strangers(now.len()), strangers(old.len())
	lo, ln := old.lengths(), now.lengths()
	var dots [4]float32
	for i := range ofNew {
		if i%64 == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		x, best := now.at(i), ofNew[i]
		for j := 0; j < len(ofOld); j += 4 {
			n := min(4, len(ofOld)-j)
			if n == 4 {
				dot4(&dots, x, old.v[j*old.dims:][:4*old.dims])
			} else {
				for k := range n {
					dots[k] = dot(x, old.at(j+k))
				}
			}
			for k := range n {
				d := apart(dots[k], ln[i], lo[j+k])
				best.offer(int32(j+k), d)
				ofOld[j+k].offer(int32(i), d)
			}
		}
		ofNew[i] = best
	}
	return ofNew, ofOld, nil
}

// strangers are neighbours of n points that know nobody.
func strangers(n int) []neighbour {
	all := make([]neighbour, n)
	for i := range all {
		all[i] = nobody
	}
	return all
}

// vicinity is everyone but that it compares only points which are near each
// other in one of some orders, those by random projections (Johnson,
// Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space",
// 1984). It misses neighbours that are not very near.
func vicinity(ctx context.Context, old, now points) (ofNew, ofOld []neighbour, err error) {
	ofNew, ofOld = strangers(now.len()), strangers(old.len())
	lo, ln := old.lengths(), now.lengths()
	for r := range uint64(projections) {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		oldOrder, oldAt := old.project(r)
		newOrder, newAt := now.project(r)
		place := 0 // of the first old point that is not below the new one
		for _, i := range newOrder {
			for place < len(oldOrder) && oldAt[oldOrder[place]] < newAt[i] {
				place++
			}
			x := now.at(int(i))
			for _, j := range oldOrder[max(0, place-window):min(len(oldOrder), place+window)] {
				d := apart(dot(x, old.at(int(j))), ln[i], lo[j])
				ofNew[i].offer(j, d)
				ofOld[j].offer(i, d)
			}
		}
	}
	return ofNew, ofOld, nil
}

// project returns the points in order of their product with random vector r of
// ones and minus ones, and the products.
func (p points) project(r uint64) (order []int32, at []float32) {
	signs := make([]float32, p.dims)
	for d := range signs {
		signs[d] = float32(int(mix(r<<32|uint64(d))>>63)*2 - 1)
	}
	order, at = make([]int32, p.len()), make([]float32, p.len())
	for i := range order {
		order[i], at[i] = int32(i), dot(signs, p.at(i))
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(cmp.Compare(at[a], at[b]), cmp.Compare(a, b)) })
	return order, at
}
