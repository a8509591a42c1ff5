package sections

import (
	"math/rand/v2"
	"testing"
)

func BenchmarkWeigh(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	data := make([]byte, windowBytes)
	for i := range data {
		data[i] = byte(random.Uint32())
		if i%4 == 3 {
			data[i] = byte(0x3b + random.Uint32()%3 + random.Uint32()&128)
		}
	}
	s := &scanner{logs: newLogs(), table: stateTable()}
	var c costs
	b.SetBytes(windowBytes)
	for b.Loop() {
		s.weigh(&c, data, 0, scale{widest: 8, margin: windowMargin})
	}
}
