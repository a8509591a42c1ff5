package sections

const (
	// blockBytes is what is looked at where states change. It divides windowBytes.
	blockBytes = 256
	// blockChangeBits is what a change of state costs there.
	blockChangeBits = 48
	// blockMargin is the margin of blocks, see [scale]: more than windows', so that
	// graphs do not seem to have arrays here and there.
	blockMargin = 16
	// doubtBits is by how much a window must prefer another state than the one
	// its neighbours have it in, for its blocks to be looked at.
	doubtBits = 64
	// maxRuns bounds memory: beyond, nothing is looked at again.
	maxRuns = 1 << 16
)

// run begins at a place and ends where the next one begins.
type run struct {
	at    int64
	state uint8
}

// append adds a run to runs unless it goes on in the same state.
func appendRun(runs []run, r run) []run {
	if n := len(runs); n > 0 {
		if runs[n-1].state == r.state {
			return runs
		}
		if runs[n-1].at == r.at {
			return appendRun(runs[:n-1], r)
		}
	}
	return append(runs, r)
}

// refine makes runs of the survey's windows. Those around a change of state,
// those that would rather be in another state, the first and the last are
// looked at again in blocks.
func (s *scanner) refine(windows []window, states []uint8) ([]run, error) {
	doubt := make([]bool, len(windows))
	for i := range windows {
		if i == 0 || i == len(windows)-1 {
			doubt[i] = true
		}
		if i > 0 && states[i] != states[i-1] {
			for j := max(i-2, 0); j < min(i+2, len(windows)); j++ {
				doubt[j] = true
			}
		}
		w := &windows[i].cost
		for c := range w {
			doubt[i] = doubt[i] || w[c] < w[states[i]]-doubtBits*unit
		}
	}
	var runs []run
	for i := 0; i < len(windows); {
		if !doubt[i] || len(runs) > maxRuns {
			runs = appendRun(runs, run{windows[i].at, states[i]})
			i++
			continue
		}
		// As far as doubt goes without a gap between windows.
		j := i + 1
		for j < len(windows) && doubt[j] && windows[j].at == windows[j-1].at+int64(windows[j-1].n) && j-i < 256 {
			j++
		}
		first, last := -1, -1
		if i > 0 {
			first = int(states[i-1])
		}
		if j < len(windows) {
			last = int(states[j])
		}
		widest := 4
		for _, st := range states[max(i-1, 0):min(j+1, len(states))] {
			widest = max(widest, s.table[st].width)
		}
		fine, err := s.blocks(windows[i].at, windows[j-1].at+int64(windows[j-1].n), first, last, widest)
		if err != nil {
			return nil, err
		}
		for _, r := range fine {
			runs = appendRun(runs, r)
		}
		if j < len(windows) && windows[j].at > windows[j-1].at+int64(windows[j-1].n) {
			// What was not looked at is in the state of the windows around it.
			runs = appendRun(runs, run{windows[j-1].at + int64(windows[j-1].n), states[j-1]})
		}
		i = j
	}
	return runs, nil
}

// blocks finds runs in what lies between two places, by blocks, and
// elements of up to widest bytes.
func (s *scanner) blocks(from, to int64, first, last, widest int) ([]run, error) {
	var list []window
	for at := from; at < to; at += windowBytes {
		lead := int(min(at, 1))
		n := int(min(windowBytes, to-at))
		buf, err := s.read(at-int64(lead), lead+n)
		if err != nil {
			return nil, err
		}
		for b := 0; b < n; b += blockBytes {
			var w window
			s.weigh(&w.cost, buf[:min(b+blockBytes, n)+lead], b+lead, scale{widest: widest, margin: blockMargin})
			list = append(list, w)
		}
	}
	var runs []run
	for i, st := range path(list, blockChangeBits*unit, first, last) {
		runs = appendRun(runs, run{from + int64(i)*blockBytes, st})
	}
	return runs, nil
}
