package text

// maxPrimed is how many bytes of old a run is prepared for with, at most.
const maxPrimed = 256 << 10

// prime teaches the plain contexts the bytes of old that a run of n bytes at
// hint probably resembles, so that even its first edits are put in words that
// are known. Noise is left out, and what was taught already.
func (m *Model) prime(hint int64, n int) {
	if hint < 0 || hint >= m.old.size {
		return
	}
	end := min(hint+int64(min(n, maxPrimed)), m.old.size)
	if m.primedFrom <= hint && hint < m.primedTo {
		hint = m.primedTo
	} else {
		m.primedFrom = hint
	}
	m.primedTo = max(end, hint)
	var g gaze
	var block [noiseBlock]byte
	for hint < end {
		b := block[:min(end-hint, noiseBlock)]
		m.old.read(b, hint)
		hint += int64(len(b))
		noise := isNoise(b)
		for _, c := range b {
			if !noise {
				m.teach(&g, c)
			}
			g.look(c)
		}
	}
}

// teach shows the plain contexts a byte.
func (m *Model) teach(g *gaze, b byte) {
	g.plain(&m.ctx)
	for i := range m.bucket[:plainContexts] {
		m.bucket[i] = m.tables[i].get(m.ctx[i])
	}
	m.teachHalf(int(b >> 4))
	m.half(int(b>>4)|16, plainContexts)
	m.teachHalf(int(b & 15))
	m.teachOrder1(byte(g.tail), b)
}

func (m *Model) teachHalf(nibble int) {
	n1, n2, n3 := 2|nibble>>3, 4|nibble>>2, 8|nibble>>1
	b0, b1, b2, b3 := nibble>>3&1, nibble>>2&1, nibble>>1&1, nibble&1
	for _, k := range m.bucket[:plainContexts] {
		k[1] = history8.next[k[1]][b0]
		k[n1] = history8.next[k[n1]][b1]
		k[n2] = history8.next[k[n2]][b2]
		k[n3] = history8.next[k[n3]][b3]
	}
}

func (m *Model) teachOrder1(last, b byte) {
	slots := &m.order1[last]
	for n := range 8 {
		slots[(1<<n|int(b)>>(8-n))&255].Learn(int(b>>(7-n)&1), order1Limit)
	}
}
