package align

import (
	"cmp"
	"slices"
)

// match says which old unit each new one was.
type match struct {
	to   []int32 // old unit of each new one, -1 where unknown; each at most once
	sure []bool  // whether nothing else comes near
}

func newMatch(n int) *match {
	m := &match{to: make([]int32, n), sure: make([]bool, n)}
	for i := range m.to {
		m.to[i] = -1
	}
	return m
}

// inOrder is the match of units that stand where they stood.
func inOrder(n int) *match {
	m := newMatch(n)
	for i := range m.to {
		m.to[i], m.sure[i] = int32(i), true
	}
	return m
}

// sures counts sure units; none of a nil match.
func (m *match) sures() (n int) {
	if m == nil {
		return 0
	}
	for _, s := range m.sure {
		if s {
			n++
		}
	}
	return n
}

// known counts units that have a match.
func (m *match) known() (n int) {
	for _, t := range m.to {
		if t >= 0 {
			n++
		}
	}
	return n
}

// trusted says whether enough units are sure to start from: a twelfth, or 32.
func (m *match) trusted() bool { n := m.sures(); return n > 0 && n >= min(32, (len(m.to)+11)/12) }

// moved says whether a sure unit stands elsewhere than before.
func (m *match) moved() bool {
	for i, s := range m.sure {
		if s && int(m.to[i]) != i {
			return true
		}
	}
	return false
}

// complete gives every new unit an old one that is left: its own index where
// it is free, else the lowest. None of these is sure.
func (m *match) complete() {
	taken := m.taken()
	for i, t := range m.to {
		if t < 0 && !taken[i] {
			m.to[i], taken[i] = int32(i), true
		}
	}
	free := 0
	for i, t := range m.to {
		if t >= 0 {
			continue
		}
		for taken[free] {
			free++
		}
		m.to[i], taken[free] = int32(free), true
	}
}

// taken marks the old units that the match uses.
func (m *match) taken() []bool {
	taken := make([]bool, len(m.to))
	for _, t := range m.to {
		if t >= 0 {
			taken[t] = true
		}
	}
	return taken
}

// open returns the new units without a match and the old ones that no match
// uses, as many, both in order.
func (m *match) open() (old, now []int32) {
	for i, t := range m.to {
		if t < 0 {
			now = append(now, int32(i))
		}
	}
	for i, taken := range m.taken() {
		if !taken {
			old = append(old, int32(i))
		}
	}
	return old, now
}

// byKey matches units of equal keys. Those that share a key with others are
// matched to their own index or in order, and are not sure.
func byKey(old, now []uint64) *match {
	m := newMatch(len(now))
	o, n := sortedUnits(old), sortedUnits(now)
	for len(o) > 0 && len(n) > 0 {
		switch c := cmp.Compare(old[o[0]], now[n[0]]); {
		case c < 0:
			o = o[1:]
		case c > 0:
			n = n[1:]
		default:
			a, b := equalKeys(old, o), equalKeys(now, n)
			m.tie(o[:a], n[:b])
			o, n = o[a:], n[b:]
		}
	}
	return m
}

// sortedUnits returns unit indices by key, equal keys by index.
func sortedUnits(keys []uint64) []int32 {
	units := make([]int32, len(keys))
	for i := range units {
		units[i] = int32(i)
	}
	slices.SortFunc(units, func(a, b int32) int {
		return cmp.Or(cmp.Compare(keys[a], keys[b]), cmp.Compare(a, b))
	})
	return units
}

// equalKeys counts the leading units of one key.
func equalKeys(keys []uint64, units []int32) int {
	n := 1
	for n < len(units) && keys[units[n]] == keys[units[0]] {
		n++
	}
	return n
}

// tie matches units that cannot be told apart, both in order of index.
func (m *match) tie(old, now []int32) {
	if len(old) == 1 && len(now) == 1 {
		m.to[now[0]], m.sure[now[0]] = old[0], true
		return
	}
	var o, n []int32 // those that do not stand where they stood
	for i, k := 0, 0; i < len(old) || k < len(now); {
		switch {
		case k == len(now) || i < len(old) && old[i] < now[k]:
			o = append(o, old[i])
			i++
		case i == len(old) || old[i] > now[k]:
			n = append(n, now[k])
			k++
		default:
			m.to[now[k]] = old[i]
			i, k = i+1, k+1
		}
	}
	for i := range min(len(o), len(n)) {
		m.to[n[i]] = o[i]
	}
}
