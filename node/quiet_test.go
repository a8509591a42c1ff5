package node

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// counted is a connection that counts what is written.
type counted struct {
	net.Conn
	writes, bytes *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	c.bytes.Add(int64(len(p)))
	return c.Conn.Write(p)
}

// An idle connection outside says something at the pace of the preset, 24 bytes
// in two writes, and nothing else: with TCP, Noise and Ethernet under it three
// packets of 258 bytes in sum. Only where both ends ask at the same instant, as
// they may here, is it twice that.
func TestIdleMuxer(t *testing.T) {
	for _, preset := range Presets() {
		synctest.Test(t, func(t *testing.T) {
			var writes, bytes atomic.Int64
			a, b := net.Pipe()
			m := newMuxer(preset)
			ends := make([]network.MuxedConn, 2)
			for i, c := range []net.Conn{a, b} {
				end, err := m.NewConn(counted{c, &writes, &bytes}, i == 0, nil)
				if err != nil {
					t.Fatal(err)
				}
				ends[i] = end
			}
			time.Sleep(time.Second)
			writes.Store(0)
			bytes.Store(0)
			const long = 6 * time.Hour
			time.Sleep(long)
			pings := int64(long / preset.silence().ping)
			if w, n := writes.Load(), bytes.Load(); w > 4*pings || w < pings || n != 12*w {
				t.Errorf("%s: %d writes, %d bytes in %s; want a ping or two each %s", preset, w, n, long, preset.silence().ping)
			}
			for _, end := range ends {
				if end.IsClosed() {
					t.Errorf("%s: closed", preset)
				}
			}
			for _, end := range ends {
				_ = end.Close()
			}
			synctest.Wait()
		})
	}
}

// A connection whose other end has fallen silent is closed within a ping and the
// time for its answer.
func TestDeadMuxer(t *testing.T) {
	for _, preset := range Presets() {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, b) }()
			end, err := newMuxer(preset).NewConn(a, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(preset.silence().ping + 2*preset.silence().answer + time.Second)
			if !end.IsClosed() {
				t.Errorf("%s: still open", preset)
			}
			_ = end.Close()
			_ = b.Close()
			synctest.Wait()
		})
	}
}

// Keep-alives are one ping on the wire; three idle connections of a gateway stay
// under the budget of an idle node.
func TestIdleBudget(t *testing.T) {
	const (
		packet = 66      // Ethernet, IPv4, TCP with timestamps
		ping   = 12 + 18 // yamux and Noise
		each   = 3*packet + 2*ping
	)
	for preset, most := range map[Preset]float64{WAN: 200, Narrow: 60, Satellite: 30} {
		perMinute := 3 * each / preset.silence().ping.Minutes()
		if perMinute > most {
			t.Errorf("%s: %.0f bytes a minute for three connections, at most %.0f", preset, perMinute, most)
		}
	}
}
