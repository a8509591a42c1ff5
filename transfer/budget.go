package transfer

import (
	"context"
	"math/bits"
	"runtime"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/dunlin-mesh/dunlin/codec"
)

// budget bounds bytes of memory. Waiters are served in order.
type budget struct {
	*semaphore.Weighted
	size int64
}

func newBudget(size int) *budget {
	return &budget{semaphore.NewWeighted(int64(size)), int64(size)}
}

// codingSlots is how many chunks are read and encoded at once.
func codingSlots() int { return runtime.GOMAXPROCS(0) }

// acquire takes n bytes, or all there is if that is less, and returns what
// gives them back.
func (b *budget) acquire(ctx context.Context, n int) (release func(), err error) {
	take := min(int64(n), b.size)
	if err := b.Acquire(ctx, take); err != nil {
		return nil, err
	}
	return func() { b.Release(take) }, nil
}

// buffers are pools of memory for chunks and frames, by powers of two from
// 4 KiB to 4 MiB.
type buffers struct {
	pools [11]sync.Pool // of *[]byte
}

const leastBufferBits = 12

func bufferClass(n int) int {
	return max(bits.Len(uint(max(n, 1)-1)), leastBufferBits) - leastBufferBits
}

// get returns a buffer of length n, at most [codec.MaxFrameBytes].
func (b *buffers) get(n int) *[]byte {
	class := bufferClass(n)
	if p, ok := b.pools[class].Get().(*[]byte); ok {
		*p = (*p)[:n]
		return p
	}
	buf := make([]byte, n, 1<<(class+leastBufferBits))
	return &buf
}

// put takes a buffer of get back.
func (b *buffers) put(p *[]byte) { b.pools[bufferClass(cap(*p))].Put(p) }

const _ = uint(4<<20 - codec.MaxFrameBytes) // the largest frame fits the largest class
