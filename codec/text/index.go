package text

import (
	"encoding/binary"
	"math/bits"
)

const (
	shortLen = 6  // bytes hashed for a short match
	longLen  = 16 // and for a long one

	maxTableBits  = 20
	fewBytes      = 4 << 20   // in larger files noise is indexed more sparsely
	noiseBit      = 1 << 31   // of an entry: lies in noise
	noiseBlock    = 256       // bytes judged together
	firstCredit   = 256 << 10 // bytes of old indexed at once
	totalCredit   = 64        // and for each byte of the total, at once,
	mostCredit    = 8 << 20   // at most,
	creditPerByte = 256       // and for each byte coded
)

// A block is noise if the squares of its histogram sum up to less than this:
// random bytes give 510, f32 weights about 1,500, text 4,000 and more.
const noiseBelow = 2000

// index maps what comes before a position of the old file to that position. A
// later position replaces an earlier one.
type index struct {
	short, long []uint32 // position>>shift + 1, with noiseBit; 0 for none
	shift       uint     // for files of 2 GiB and more
	hashShift   uint
	done        []uint64 // pages indexed, a bit each
	noisyStep   int
	pages, left int64 // in all, and not indexed yet
	credit      int64
	up, down    int64 // pages to look at next, upwards and downwards
	started     bool
	buf         []byte
}

func (x *index) init(size int64, budget int) {
	for size>>x.shift >= noiseBit-1 {
		x.shift++
	}
	b := 10
	for b < maxTableBits && int64(1)<<b < size && 8<<(b+1) <= budget/2 {
		b++
	}
	x.short, x.long = make([]uint32, 1<<b), make([]uint32, 1<<b)
	x.hashShift = uint(64 - b)
	x.pages = (size + pageBytes - 1) >> pageBits
	x.left = x.pages
	x.credit = firstCredit
	x.noisyStep = 2
	if size > fewBytes {
		x.noisyStep = 8
	}
}

func (x *index) hashShort(tail uint64) uint64 {
	return tail << (64 - 8*shortLen) * 0x9E3779B97F4A7C15 >> x.hashShift
}

func (x *index) hashLong(tail, before uint64) uint64 {
	return (bits.RotateLeft64(before*0xD6E8FEB86659FD93, 29) ^ tail) * 0x9E3779B97F4A7C15 >> x.hashShift
}

// grow indexes pages for so many more bytes coded.
func (o *Old) grow(coded int) {
	x := &o.index
	if !x.started {
		x.started = true
		x.done = make([]uint64, (x.pages+63)/64)
		x.up = max(o.hint, 0) >> pageBits
		x.down = x.up - 1
	}
	if o.hint >= 0 {
		o.indexPage(o.hint >> pageBits)
	}
	x.credit += int64(coded) * creditPerByte
	for x.credit > 0 && x.left > 0 {
		if x.up < x.pages {
			o.indexPage(x.up)
			x.up++
		}
		if x.down >= 0 {
			o.indexPage(x.down)
			x.down--
		}
	}
}

func (o *Old) indexPage(n int64) {
	x := &o.index
	if n >= x.pages || x.done[n/64]>>(n%64)&1 != 0 {
		return
	}
	x.done[n/64] |= 1 << (n % 64)
	x.left--
	x.credit -= pageBytes
	if x.buf == nil {
		x.buf = make([]byte, longLen+pageBytes)
	}
	start := n<<pageBits - longLen
	b := x.buf[:min(o.size-start, int64(len(x.buf)))]
	o.read(b, start)
	for at := longLen; at < len(b); at += noiseBlock {
		block := b[at:min(at+noiseBlock, len(b))]
		step, noise := 1, uint32(0)
		if isNoise(block) {
			step, noise = x.noisyStep, noiseBit
		}
		for i := at; i < at+len(block); i += step {
			pos := start + int64(i)
			if pos&(1<<x.shift-1) != 0 {
				continue
			}
			tail := binary.BigEndian.Uint64(b[i-8:])
			v := uint32(pos>>x.shift) + 1 | noise
			enter(&x.short[x.hashShort(tail)], v)
			enter(&x.long[x.hashLong(tail, binary.BigEndian.Uint64(b[i-16:]))], v)
		}
	}
}

// enter makes v an entry, but noise only where there is nothing but noise.
func enter(entry *uint32, v uint32) {
	if v&noiseBit == 0 || *entry == 0 || *entry&noiseBit != 0 {
		*entry = v
	}
}

func isNoise(b []byte) bool {
	if len(b) < noiseBlock {
		return false
	}
	var count [256]uint32
	for _, c := range b {
		count[c]++
	}
	sum := uint32(0)
	for _, n := range count {
		sum += n * n
	}
	return sum < noiseBelow
}

// find returns the position in old before which the same bytes stand as at the
// end of history, and how many, at least shortLen and at most limit; 0, 0 if
// the index knows none.
func (o *Old) find(h *history, limit int) (pos int64, length int) {
	x := &o.index
	if h.n < shortLen {
		return 0, 0
	}
	if h.n >= longLen {
		if v := x.long[x.hashLong(h.tail, h.before)]; v != 0 {
			pos = int64(v&^noiseBit-1) << x.shift
			length = o.common(pos, h, limit)
		}
	}
	if length < longLen {
		if v := x.short[x.hashShort(h.tail)]; v != 0 {
			p := int64(v&^noiseBit-1) << x.shift
			if n := o.common(p, h, limit); n > length {
				pos, length = p, n
			}
		}
	}
	if length < shortLen {
		return 0, 0
	}
	return pos, length
}
