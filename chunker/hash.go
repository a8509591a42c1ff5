package chunker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sync"
	"sync/atomic"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Sum is what a file's bytes hash to.
type Sum struct {
	SHA256  manifest.Digest   // of the whole file
	Digests []manifest.Digest // of each chunk, in order; see [manifest.Layout.Chunks]
}

// Buffers between the reader and the two hashers: 4 MiB in all, enough for
// one side to go on while another waits for a disk or a core.
const (
	hashBuffers     = 8
	hashBufferBytes = 512 << 10
)

// Hash reads r from start to end, once, and returns the digests of the file
// and of each chunk that l, which must have passed Validate, cuts it into. The
// two are computed at the same time on two goroutines, which have ended when
// Hash returns. r must hold l.Size bytes: fewer give an error that wraps
// [io.ErrUnexpectedEOF], more an error too, since the file has changed since
// it was laid out.
//
// progress, unless nil, is called after each read on the caller's goroutine
// with the number of bytes read so far. Hash takes 4 MiB of memory and 40
// bytes a chunk.
func Hash(ctx context.Context, r io.Reader, l *manifest.Layout, progress func(bytes int64)) (Sum, error) {
	chunks := l.Chunks()
	whole := sha256.New()
	parts := &partHasher{chunks: chunks, digests: make([]manifest.Digest, 0, chunks.Len()), hash: sha256.New()}

	free := make(chan *hashBuffer, hashBuffers)
	for range hashBuffers {
		free <- &hashBuffer{}
	}
	toWhole, toParts := make(chan *hashBuffer, hashBuffers), make(chan *hashBuffer, hashBuffers)
	var workers sync.WaitGroup
	workers.Go(func() { drain(toWhole, free, whole) })
	workers.Go(func() { drain(toParts, free, parts) })

	err := feed(ctx, r, int64(l.Size), progress, free, func(b *hashBuffer) {
		toWhole <- b
		toParts <- b
	})
	close(toWhole)
	close(toParts)
	workers.Wait()
	if err != nil {
		return Sum{}, err
	}
	sum := Sum{Digests: parts.digests}
	whole.Sum(sum.SHA256[:0])
	return sum, nil
}

// hashBuffer is a run of the file on its way to both hashers.
type hashBuffer struct {
	users atomic.Int32 // hashers that still need data; the last one frees it
	data  []byte
}

// feed reads size bytes from r and hands them on in buffers.
func feed(ctx context.Context, r io.Reader, size int64, progress func(int64), free <-chan *hashBuffer, hand func(*hashBuffer)) error {
	var done int64
	for done < size {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("hash: %w", err)
		}
		b := <-free // never long: two live workers empty what was handed on
		if b.data == nil {
			b.data = make([]byte, hashBufferBytes)
		}
		b.data = b.data[:min(hashBufferBytes, size-done)]
		n, err := io.ReadFull(r, b.data)
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("hash: after %d of %d bytes: %w", done+int64(n), size, err)
		}
		done += int64(n)
		b.users.Store(2)
		hand(b)
		if progress != nil {
			progress(done)
		}
	}
	if n, err := io.ReadFull(r, make([]byte, 1)); n > 0 {
		return fmt.Errorf("hash: more than the %d bytes that were laid out: the file has grown, publish it again", size)
	} else if err != io.EOF {
		return fmt.Errorf("hash: after %d bytes: %w", size, err)
	}
	return nil
}

// drain writes all buffers to a hasher; neither kind of hasher fails.
func drain(from <-chan *hashBuffer, free chan<- *hashBuffer, to io.Writer) {
	for b := range from {
		_, _ = to.Write(b.data)
		if b.users.Add(-1) == 0 {
			free <- b
		}
	}
}

// partHasher hashes chunk by chunk what is written to it.
type partHasher struct {
	chunks  manifest.Chunks
	digests []manifest.Digest
	hash    hash.Hash
	filled  int // bytes of the current chunk already hashed
}

func (p *partHasher) Write(data []byte) (int, error) {
	total := len(data)
	for len(data) > 0 {
		_, length := p.chunks.At(len(p.digests))
		n := min(len(data), length-p.filled)
		_, _ = p.hash.Write(data[:n]) // a hash.Hash never fails
		data, p.filled = data[n:], p.filled+n
		if p.filled == length {
			var d manifest.Digest
			p.hash.Sum(d[:0])
			p.digests, p.filled = append(p.digests, d), 0
			p.hash.Reset()
		}
	}
	return total, nil
}
