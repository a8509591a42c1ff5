package deflate

import (
	"encoding/binary"
	"io"
)

const outBytes = 32 << 10

// bitWriter packs bits from the least significant up (RFC 1951, 3.1.1) and
// hands them on in pieces of about 32 KiB. The first error of w stays.
type bitWriter struct {
	w     io.Writer
	err   error
	bits  uint64
	count uint // valid bits, under 8 after each put
	n     int
	buf   [outBytes + 8]byte
}

func (b *bitWriter) reset(w io.Writer) {
	b.w, b.err, b.bits, b.count, b.n = w, nil, 0, 0, 0
}

// put appends the low count bits of v, at most 56; those above must be zero.
func (b *bitWriter) put(v uint64, count uint) {
	b.bits |= v << b.count
	b.count += count
	binary.LittleEndian.PutUint64(b.buf[b.n:], b.bits)
	whole := b.count >> 3
	b.n += int(whole)
	b.bits >>= whole << 3
	b.count &= 7
	if b.n >= outBytes {
		b.flush()
	}
}

// align fills the last byte up with zeros.
func (b *bitWriter) align() {
	if b.count > 0 {
		b.put(0, 8-b.count)
	}
}

// write appends whole bytes; the writer must be aligned.
func (b *bitWriter) write(p []byte) {
	for len(p) > 0 {
		n := copy(b.buf[b.n:outBytes], p)
		b.n += n
		if p = p[n:]; b.n >= outBytes {
			b.flush()
		}
	}
}

// flush hands on all whole bytes.
func (b *bitWriter) flush() {
	if b.err == nil && b.n > 0 {
		_, b.err = b.w.Write(b.buf[:b.n])
	}
	b.n = 0
}
