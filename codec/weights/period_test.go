package weights

import (
	"os"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
)

func TestPeriodProto(t *testing.T) {
	data, err := os.ReadFile("/work/shared/corpus/berserk-3152k/04-2022-04-26/default.nn")
	if err != nil {
		t.Skip(err)
	}
	data = data[16 : 16+787968*4]
	p := Period(codec.F32, 512, data)
	t.Log("period", p)
	for _, n := range []int{200_000, 800_000, len(data)} {
		for _, period := range []int{0, p, 512, 3 * 512} {
			m := NewModel(codec.F32, false)
			c := mix.NewEncoder(nil)
			q := Measure(codec.F32, 512, nil, data[:n])
			q.Period = period
			m.Begin(q, 0)
			m.Code(c, nil, nil, data[:n])
			t.Log(n, period, c.Bytes(), m.ahead.weights, m.ahead.lags, m.ahead.miss)
		}
	}
}
