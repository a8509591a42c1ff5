package codec_test

import (
	"syscall"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// processorSeconds is what the process has used; time on a busy machine says
// little.
func processorSeconds(b *testing.B) float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return float64(r.Utime.Sec) + float64(r.Utime.Usec)/1e6
}

// Speed, by processor time, and ratio of dense numbers in chunks of 128 KiB, as
// the layout knows them and as nobody does.
func BenchmarkMixed(b *testing.B) {
	const n = 4 * chunkBytes
	c := &codec.Coder{}
	for _, d := range dense {
		data := d.make(n)
		run := func(name string, class codec.Class, decodes bool) {
			b.Run(d.name+name, func(b *testing.B) {
				segs := []codec.Segment{{Class: class, Bytes: chunkBytes}}
				buf := make([]byte, codec.MaxFrameBytes)
				var coded []codec.Frame
				total := 0
				for at := 0; at < n; at += chunkBytes {
					f, err := c.Encode(nil, data[at:at+chunkBytes], segs, codec.Strong)
					if err != nil {
						b.Fatal(err)
					}
					coded = append(coded, f)
					total += len(f.AppendHeader(nil)) + len(f.Payload)
				}
				start, rounds := processorSeconds(b), 0
				for b.Loop() {
					rounds++
					for i, f := range coded {
						var err error
						if decodes {
							_, err = c.Decode(buf, f, chunkBytes, segs)
						} else {
							_, err = c.Encode(buf, data[i*chunkBytes:][:chunkBytes], segs, codec.Strong)
						}
						if err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(rounds)*n/1e6/(processorSeconds(b)-start), "MB/cpu-s")
				b.ReportMetric(100*float64(total)/n, "%size")
			})
		}
		run("/encode", d.class, false)
		run("/encode-unknown", codec.Other, false)
		run("/decode", d.class, true)
	}
}
