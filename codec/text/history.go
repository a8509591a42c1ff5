package text

const (
	minHistoryBits = 12 // of the bytes that a model remembers
	maxHistoryBits = 20
	ownIndexBits   = 16 // of the entries of each index of them, at most

	ownShort = 5 // bytes hashed for a short match
	ownLong  = 12
)

// history is the end of what was coded, with an index of its own.
type history struct {
	ring         []byte // byte i lies at i&mask
	mask         int64
	n            int64  // bytes coded in all
	tail, before uint64 // the last eight bytes and the eight before those
	short, long  []uint32
	hashShift    uint
}

func newHistory(total int64) *history {
	b := minHistoryBits
	for b < maxHistoryBits && int64(1)<<b < total {
		b++
	}
	t := min(b, ownIndexBits)
	return &history{
		ring: make([]byte, 1<<b), mask: 1<<b - 1,
		short: make([]uint32, 1<<t), long: make([]uint32, 1<<t), hashShift: uint(64 - t),
	}
}

// at returns byte i of all those coded; it must be among those remembered.
func (h *history) at(i int64) byte { return h.ring[i&h.mask] }

func (h *history) add(b byte) {
	h.ring[h.n&h.mask] = b
	h.n++
	h.before = h.before<<8 | h.tail>>56
	h.tail = h.tail<<8 | uint64(b)
}

// find returns where in the history the same bytes came before as at its end,
// and how many of them, and enters its end into the index.
func (h *history) find(limit int) (pos int64, length int) {
	hs := h.tail << (64 - 8*ownShort) * 0x9E3779B97F4A7C15 >> h.hashShift
	hl := (h.before<<(64-8*(ownLong-8))*0xD6E8FEB86659FD93 ^ h.tail*0xA0761D6478BD642F) >> h.hashShift
	if h.n >= ownShort {
		pos, length = h.verify(h.long[hl], limit)
		if length < ownLong {
			if p, n := h.verify(h.short[hs], limit); n > length {
				pos, length = p, n
			}
		}
	}
	h.short[hs], h.long[hl] = uint32(h.n), uint32(h.n)
	return pos, length
}

// verify makes an entry of the index a position and compares what precedes it.
func (h *history) verify(entry uint32, limit int) (pos int64, length int) {
	back := uint32(h.n) - entry
	if entry == 0 || back == 0 || int64(back) >= h.mask-int64(limit) || int64(back) > h.n {
		return 0, 0
	}
	pos = h.n - int64(back)
	limit = int(min(int64(limit), pos))
	for length < limit && h.at(pos-1-int64(length)) == h.at(h.n-1-int64(length)) {
		length++
	}
	return pos, length
}
