package transfer

import (
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
)

// plainCopy is the yardstick: bytes over a bare stream from a to b.
func plainCopy(tb testing.TB, a, b host.Host, data []byte) time.Duration {
	tb.Helper()
	a.SetStreamHandler("/plain/1", func(s network.Stream) {
		_, _ = s.Write(data)
		_ = s.Close()
	})
	start := time.Now()
	s, err := b.NewStream(within(tb, time.Hour), a.ID(), "/plain/1")
	if err != nil {
		tb.Fatal(err)
	}
	_, _ = s.Write(nil)
	if n, err := io.Copy(io.Discard, s); err != nil || n != int64(len(data)) {
		tb.Fatalf("%d bytes: %v", n, err)
	}
	_ = s.Close()
	return time.Since(start)
}
