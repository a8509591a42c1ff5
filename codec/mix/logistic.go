package mix

// The logistic domain in which probabilities are mixed: ln(p/(1-p)) in units
// of 1/256, from -MaxLogit to MaxLogit.
const (
	logitBits = 8
	// MaxLogit is 11: the tables reach probabilities of 1 in 60,000.
	MaxLogit = 11<<logitBits + 255
)

// tables are the two directions between probability and logit.
type tables struct {
	squash [2*MaxLogit + 1]uint16
	coarse [4096]int16 // by p>>4
	fine   [2048]int16 // by p where p < 2048
}

// logistic is made once, of constants, by integers only.
var logistic = makeTables()

func makeTables() *tables {
	t := new(tables)
	// e^(-x/256) for x = 0, 1, … in 2^60ths: each is the one before times
	// e^(-1/256).
	const one, step = 1 << 60, 1148426689630428643 // step = e^(-1/256) · 2^60
	e := uint64(one)
	for x := 0; x <= MaxLogit; x++ {
		// 65536 / (1 + e), for x and, mirrored, for -x.
		p := uint32((uint64(1)<<62 + (one+e)>>15) / ((one + e) >> 14))
		p = min(max(p, 1), 65535)
		t.squash[MaxLogit+x] = uint16(p)
		t.squash[MaxLogit-x] = uint16(65536 - p)
		e = mulShift60(e, step)
	}
	at := 0 // the smallest logit whose probability is not below p
	fill := func(p uint32) int16 {
		for at < 2*MaxLogit && uint32(t.squash[at]) < p {
			at++
		}
		return int16(at - MaxLogit)
	}
	for p := range uint32(2048) {
		t.fine[p] = fill(p)
	}
	at = 0
	for p := range uint32(4096) {
		t.coarse[p] = fill(p<<4 + 8)
	}
	return t
}

// mulShift60 returns a·b / 2^60 for a, b at most 2^60.
func mulShift60(a, b uint64) uint64 {
	const half = 1<<30 - 1
	ah, al, bh, bl := a>>30, a&half, b>>30, b&half
	return ah*bh + (ah*bl+al*bh+al*bl>>30)>>30
}

// Stretch returns the logit of p, a probability in 65536.
func Stretch(p uint32) int32 {
	switch {
	case p < 2048:
		return int32(logistic.fine[p])
	case p > 65536-2048:
		return -int32(logistic.fine[65536-p])
	}
	return int32(logistic.coarse[p>>4])
}

// Squash returns the probability in 65536, 1 to 65535, of a logit; those out of
// range count as the nearest in range.
func Squash(logit int32) uint32 {
	logit = min(max(logit, -MaxLogit), MaxLogit)
	return uint32(logistic.squash[MaxLogit+logit])
}
