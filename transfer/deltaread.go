package transfer

import (
	"context"
	"io"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// readAt fills p with the bytes at offset, as many as there are, and waits for
// at least one. Errors: io.EOF at the end; why there will be no end; ctx's.
func (g *growth) readAt(ctx context.Context, p []byte, offset int64) (int, error) {
	for {
		g.mu.Lock()
		bytes, done, err, wake := g.bytes, g.done, g.err, g.wake
		g.mu.Unlock()
		switch {
		case bytes > offset:
			n, err := g.file.ReadAt(p[:min(int64(len(p)), bytes-offset)], deltaHead+offset)
			if n > 0 {
				err = nil
			}
			return n, err
		case err != nil:
			return 0, err
		case done:
			return 0, io.EOF
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// reader reads from the start and waits for what is still to come.
func (g *growth) reader(ctx context.Context) io.Reader {
	var at int64
	return readerFunc(func(p []byte) (int, error) {
		n, err := g.readAt(ctx, p, at)
		at += int64(n)
		return n, err
	})
}

// size returns the bytes there are.
func (g *growth) size() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bytes
}

// failed says whether it ended before its end.
func (g *growth) failed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err != nil
}

// part describes what is there, for the writer.
func (g *growth) part() (int64, manifest.Digest) {
	return g.bytes, manifest.Digest(g.hash.Sum(nil))
}
