package testnet_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkPublishGibibyte publishes a file of 1 GiB and runs sha256sum on it,
// in turns: "of-sha256sum" is our speed as a part of its speed. Staging copies
// the file and makes it durable; in place it is only laid out, hashed and
// signed.
func BenchmarkPublishGibibyte(b *testing.B) {
	for _, mode := range []struct {
		name string
		args []string
	}{{"copy", nil}, {"in-place", []string{"--in-place"}}} {
		b.Run(mode.name, func(b *testing.B) {
			fleet, dir := newFleet(b)
			path := filepath.Join(dir, "model.bin")
			randomFile(b, path, gibibyte)
			var ours, theirs time.Duration
			for i := 0; b.Loop(); i++ {
				n, err := fleet.Add(b.Context(), "p"+time.Now().Format("150405.000"), "--no-runtime")
				if err != nil {
					b.Fatal(err)
				}
				must(b, n, "publisher", "create", "acme")
				start := time.Now()
				if out, err := exec.CommandContext(b.Context(), "sha256sum", path).CombinedOutput(); err != nil {
					b.Fatalf("sha256sum: %v: %s", err, out)
				}
				theirs += time.Since(start)
				start = time.Now()
				must(b, n, append([]string{"publish", path, "--model", "acme/m", "--version", "1"}, mode.args...)...)
				ours += time.Since(start)
				if err := os.RemoveAll(n.Dir); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "of-sha256sum")
			b.ReportMetric(float64(b.N)*gibibyte/1e6/ours.Seconds(), "MB/s")
		})
	}
}

// BenchmarkFetchGibibyte fetches a release of 1 GiB from one peer over
// loopback, store, digests and encryption of both processes included, and
// reports the speed for each core in use.
func BenchmarkFetchGibibyte(b *testing.B) {
	fleet, dir := newFleet(b)
	path := filepath.Join(dir, "model.bin")
	randomFile(b, path, gibibyte)
	publisher, root := startPublisher(b, fleet, dir, "--no-runtime")
	must(b, publisher, "publish", path, "--model", "acme/m", "--version", "1", "--in-place")
	var used, wall time.Duration
	for b.Loop() {
		restart(b, publisher)
		start := time.Now()
		a := follower(b, fleet, "a"+time.Now().Format("150405.000"), publisher, root, "follow", "--no-runtime")
		must(b, a, "wait", "acme/m@1", "--timeout", "5m")
		wall += time.Since(start)
		used += cpu(b, publisher) + cpu(b, a)
		if err := a.Stop(); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(a.Dir); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*gibibyte/1e6/used.Seconds(), "MB/s-per-core")
	b.ReportMetric(float64(b.N)*gibibyte/1e6/wall.Seconds(), "MB/s")
}
