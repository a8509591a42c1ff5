package deflate

import "math/bits"

// Sizes of RFC 1951, 3.2.5 to 3.2.7.
const (
	literals    = 256
	endOfBlock  = 256
	lengthCodes = 29
	litCodes    = literals + 1 + lengthCodes
	distCodes   = 30
	lenCodes    = 19 // of the alphabet that the code lengths are written in
	maxBits     = 15
	maxLenBits  = 7
	repeat      = 16 // 2 bits: the last length, 3 to 6 times
	zeros       = 17 // 3 bits: 3 to 10 zeros
	manyZeros   = 18 // 7 bits: 11 to 138 zeros
	minMatch    = 3
	maxMatch    = 258
)

// code is what stands for a symbol in the output: a Huffman code, its bits
// reversed, ready to be put.
type code struct {
	bits uint16
	len  uint8
}

// bucket is a run of lengths or distances that share a code and differ in its
// extra bits.
type bucket struct {
	base  uint16
	extra uint8
}

// fixedTables are what RFC 1951 settles once and for all.
type fixedTables struct {
	length   [lengthCodes]bucket // match length - minMatch
	dist     [distCodes]bucket   // distance - 1
	lengthOf [maxMatch - minMatch + 1]uint8
	distOf   [512]uint8 // for distance-1 under 256; above, 256 + (distance-1)>>7
	lit      [litCodes + 2]code
	distance [distCodes]code
}

var fixed = makeFixed()

func makeFixed() *fixedTables {
	f := new(fixedTables)
	base := 0
	for i := range f.length[:lengthCodes-1] {
		f.length[i] = bucket{uint16(base), uint8(max(0, i/4-1))}
		for range 1 << f.length[i].extra {
			f.lengthOf[base] = uint8(i)
			base++
		}
	}
	// 258 has a code of its own, though it would fit the one before.
	f.length[lengthCodes-1] = bucket{maxMatch - minMatch, 0}
	f.lengthOf[maxMatch-minMatch] = lengthCodes - 1
	base = 0
	for i := range f.dist {
		f.dist[i] = bucket{uint16(base), uint8(max(0, i/2-1))}
		for j := base; j < base+1<<f.dist[i].extra; j++ {
			if j < 256 {
				f.distOf[j] = uint8(i)
			} else {
				f.distOf[256+j>>7] = uint8(i)
			}
		}
		base += 1 << f.dist[i].extra
	}
	for i := range f.lit {
		switch {
		case i < 144:
			f.lit[i].len = 8
		case i < 256:
			f.lit[i].len = 9
		case i < 280:
			f.lit[i].len = 7
		default:
			f.lit[i].len = 8
		}
	}
	assign(f.lit[:])
	for i := range f.distance {
		f.distance[i] = code{bits.Reverse16(uint16(i)) >> (16 - 5), 5}
	}
	return f
}

// distCode returns the code of distance-1.
func (f *fixedTables) distCode(d uint32) uint8 {
	if d < 256 {
		return f.distOf[d]
	}
	return f.distOf[256+(d>>7)&0xff]
}

// assign gives the canonical codes of RFC 1951, 3.2.2, to lengths.
func assign(codes []code) {
	var count, next [maxBits + 1]uint16
	for _, c := range codes {
		count[c.len]++
	}
	count[0] = 0
	for n := 1; n <= maxBits; n++ {
		next[n] = (next[n-1] + count[n-1]) << 1
	}
	for i := range codes {
		if n := codes[i].len; n > 0 {
			codes[i].bits = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}
