package weights_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec/mix"
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

// Coding speed in MB of elements for each second of processor time.
func BenchmarkCode(b *testing.B) {
	for _, class := range allClasses {
		for _, kind := range allKinds {
			a := makeArray(class, kind, 1<<18/class.Width()*4)
			params := a.params(class)
			coded := roundTrip(b, class, &a)
			for _, decode := range []bool{false, true} {
				name := fmt.Sprintf("%s/%s/decode=%v", classNames[class], kind, decode)
				b.Run(name, func(b *testing.B) {
					b.SetBytes(int64(len(a.next)))
					start, bytes := processorSeconds(b), 0
					for b.Loop() {
						if decode {
							a.decode(a.model(class), mix.NewDecoder(coded), params)
						} else {
							a.encode(a.model(class), mix.NewEncoder(make([]byte, 0, len(a.next))), params)
						}
						bytes += len(a.next)
					}
					b.ReportMetric(float64(bytes)/1e6/(processorSeconds(b)-start), "MB/cpu-s")
				})
			}
		}
	}
}
