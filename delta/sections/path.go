package sections

// path returns the states of least total cost of windows in a row, where going
// from one state to another costs change (Viterbi). first and last, if not
// negative, are the states before and after.
func path(windows []window, change int32, first, last int) []uint8 {
	if len(windows) == 0 {
		return nil
	}
	// came[i][s] is the state before state s of window i.
	came := make([][states]uint8, len(windows))
	var sum [states]int64
	for s := range sum {
		if first >= 0 && s != first {
			sum[s] = int64(change)
		}
	}
	for i := range windows {
		best := 0
		for s := range sum {
			if sum[s] < sum[best] {
				best = s
			}
		}
		floor := sum[best]
		for s := range sum {
			came[i][s] = uint8(s)
			if i > 0 && sum[s] > floor+int64(change) {
				sum[s] = floor + int64(change)
				came[i][s] = uint8(best)
			}
			sum[s] += int64(windows[i].cost[s])
		}
	}
	at := 0
	for s := range sum {
		if last >= 0 && s != last {
			sum[s] += int64(change)
		}
		if sum[s] < sum[at] {
			at = s
		}
	}
	states := make([]uint8, len(windows))
	for i := len(windows) - 1; i >= 0; i-- {
		states[i] = uint8(at)
		at = int(came[i][at])
	}
	return states
}
