package testnet_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/node/api"
)

// promptly is how long a node may take to stop, on a busy machine too.
const promptly = 3 * time.Second

// numpyInt8 writes n 8-bit weights, each a step from those of the same seed
// and other steps.
func numpyInt8(t *testing.T, path string, n int, steps uint64) {
	t.Helper()
	header := "{'descr': '|i1', 'fortran_order': False, 'shape': (" + strconv.Itoa(n/4096) + ", 4096), }"
	header += strings.Repeat(" ", 117-len(header)) + "\n"
	data := append([]byte("\x93NUMPY\x01\x00\x76\x00"), header...)
	weights, moves := rand.New(rand.NewPCG(1, 1)), rand.New(rand.NewPCG(2, steps))
	for range n {
		data = append(data, byte(weights.NormFloat64()*30)+byte(moves.IntN(3)))
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A node stops within moments although its peer has gone without a word,
// whatever it was doing: coding a delta, decoding one, sending or taking chunks.
func TestStopBesideADeadPeer(t *testing.T) {
	tests := []struct {
		name   string
		update bool  // by a delta
		taker  bool  // stops; else the publisher
		bytes  int64 // on the link, when it is under way
	}{
		{"coding a delta", true, false, 4_000},
		{"decoding a delta", true, true, 400_000},
		{"sending chunks", false, false, 100_000},
		{"taking chunks", false, true, 100_000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fleet, dir := newFleet(t)
			publisher, root := startPublisher(t, fleet, dir, "--preset", "narrow", "--site", "office", "--no-runtime")
			link := newLink(t, publisher, 0)
			taker := start(t, fleet, "taker", "--preset", "narrow", "--site", "away", "--no-runtime", "--bootstrap", link.Address())
			must(t, taker, "trust", "add", root)
			must(t, taker, "carry", "acme/*")
			path := filepath.Join(dir, "w.npy")
			numpyInt8(t, path, 16<<20, 1)
			version := "1"
			if test.update {
				must(t, publisher, "publish", path, "--model", "acme/m", "--version", version)
				must(t, taker, "wait", "acme/m@1", "--timeout", "2m")
				numpyInt8(t, path, 16<<20, 2)
				version = "2"
			} else {
				link.SetRate(64 << 10)
			}
			before := link.Bytes()
			must(t, publisher, "publish", path, "--model", "acme/m", "--version", version)
			stops, dies := publisher, taker
			if test.taker {
				stops, dies = taker, publisher
			}
			if err := stops.Until(t.Context(), "it is under way", func(api.Status) bool { return link.Bytes()-before > test.bytes }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second) // well into it
			if err := syscall.Kill(dies.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			err := stops.Stop()
			took := time.Since(begun)
			if err := dies.Kill(); err != nil {
				t.Error(err)
			}
			t.Logf("stopped in %s", took.Round(time.Millisecond))
			if err != nil || took > promptly {
				t.Errorf("stopped in %s, %v; its log ends:\n%s", took, err, stops.LogTail())
			}
		})
	}
}
