package mix

// The logistic domain in which probabilities are mixed: ln(p/(1-p)) in units
// of 1/256, from -MaxLogit to MaxLogit.
const (
	logitBits = 8
	// MaxLogit is just under 12: as far as probabilities of 1 in 65536 reach.
	MaxLogit = 11<<logitBits + 255
)

// tables are the two directions between probability and logit.
type tables struct {
	squash  [2*MaxLogit + 1]uint16
	stretch [1 << 16]int16
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
	t.fillStretch()
	return t
}

// fillStretch fills the inverse of squash: each probability near 0 has a logit
// of its own, those near 1 mirror them, and in between 16 share one.
func (t *tables) fillStretch() {
	const edge = 2048
	at := 0 // the smallest logit whose probability is not below p
	logit := func(p uint32) int16 {
		for at < 2*MaxLogit && uint32(t.squash[at]) < p {
			at++
		}
		return int16(at - MaxLogit)
	}
	for p := range uint32(edge) {
		t.stretch[p] = logit(p) // 0 counts as 1: both have the least logit
		if p > 0 {
			t.stretch[1<<16-p] = -t.stretch[p]
		}
	}
	for p := uint32(edge); p < 1<<16-edge; p += 16 {
		x := logit(p + 8)
		for i := range uint32(16) {
			t.stretch[p+i] = x
		}
	}
	t.stretch[1<<16-edge] = logit(1<<16 - edge + 8)
}

// mulShift60 returns a·b / 2^60 for a, b at most 2^60.
func mulShift60(a, b uint64) uint64 {
	const half = 1<<30 - 1
	ah, al, bh, bl := a>>30, a&half, b>>30, b&half
	return ah*bh + (ah*bl+al*bh+al*bl>>30)>>30
}

// Stretch returns the logit of p, a probability in 65536, below 65536.
func Stretch(p uint32) int32 { return int32(logistic.stretch[p&0xffff]) }

// Squash returns the probability in 65536, 1 to 65535, of a logit; those out of
// range count as the nearest in range.
func Squash(logit int32) uint32 { return squash(int64(logit)) }

func squash(logit int64) uint32 {
	return uint32(logistic.squash[MaxLogit+min(max(logit, -MaxLogit), MaxLogit)])
}
