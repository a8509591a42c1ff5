package node

import (
	"log/slog"
	"testing"
	"time"
)

func TestRequestsConfig(t *testing.T) {
	c := RequestsConfig{DelayMicroseconds: 500, Queue: 3}.batching(slog.New(slog.DiscardHandler))
	if c.Delay != 500*time.Microsecond || c.Queue != 3 || c.MaxBatch != 8 || c.MaxBytes != 256<<20 || c.Concurrency < 1 {
		t.Errorf("defaults and what was said come to %+v", c)
	}
	for _, bad := range []RequestsConfig{{MaxBatch: -1}, {DelayMicroseconds: 2_000_000}, {Concurrency: 5000}, {Queue: -1}, {MaxBytes: -1}} {
		config := DefaultConfig()
		config.Requests = bad
		if err := config.Validate(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
