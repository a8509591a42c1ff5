package transfer

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// weights are size bytes of f32 as a model has them: few exponents, and as many
// zeros as pruning leaves, so that every effort finds something to save.
func weights(size int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var data []byte
	for range size / 4 {
		w := float32(0)
		if rng.IntN(3) == 0 {
			w = float32(0.02 * rng.NormFloat64())
		}
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(w))
	}
	return data
}

// ramp is the numbers from 0 as f32: bytes that never repeat as a run, so that
// byte planes beat zstd even as one stream of bytes.
func ramp(size int) []byte {
	var data []byte
	for i := range size / 4 {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(i)))
	}
	return data
}

// TestFramesOnEveryLink: whatever effort a class of link picks, both ends cut a
// chunk into the same segments, and what arrives is what was sent.
func TestFramesOnEveryLink(t *testing.T) {
	r := releaseOf(t, weights(300<<10), ramp(16<<10))
	fetch := func(t *testing.T, from, to *node) {
		connect(t, to.host, from.host)
		r.seedBlocks(to.store)
		var last Progress
		job := Job{Release: r.manifest.CID, Files: r.files, Progress: func(p Progress) { last = p }}
		if err := to.Fetch(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		r.check(t, to.store)
		if err := to.badPeer(from.host.ID()); err != nil {
			t.Errorf("the honest peer was dropped: %v", err)
		}
		if last.FrameBytes == 0 || last.FrameBytes > r.size()*3/4 {
			t.Errorf("%d frame bytes for %d bytes that compress well", last.FrameBytes, r.size())
		}
	}
	all := func(int) bool { return true }
	t.Run("lan", func(t *testing.T) {
		fetch(t, newNode(t, newHost(t), r.seed(newMemStore(), all)), newNode(t, newHost(t), newMemStore()))
	})
	for _, class := range []Link{WAN, Narrow, Satellite} {
		t.Run(string(class), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				hosts := simHosts(t, link{10e6, 20 * time.Millisecond}, link{10e6, 20 * time.Millisecond})
				of := func(c *Config) { c.Link = class }
				fetch(t, newNode(t, hosts[0], r.seed(newMemStore(), all), of), newNode(t, hosts[1], newMemStore(), of))
			})
		})
	}
}
