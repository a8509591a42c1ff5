package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// load is what a number of clients did for a while.
type load struct {
	Clients   int     `json:"clients"`
	Requests  int     `json:"requests"`
	Failed    int     `json:"failed"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_seconds"`
	P99       float64 `json:"p99_seconds"`
	failure   error   // the first one
}

// caller sends one request; clients have one each.
type caller func(ctx context.Context) error

// generate has clients send one request after another until the time is over or
// done is closed. A request that has begun is waited for.
func generate(ctx context.Context, callers []caller, duration time.Duration, done <-chan struct{}) load {
	var mu sync.Mutex
	total := load{Clients: len(callers)}
	var took []time.Duration
	began := time.Now()
	var wg sync.WaitGroup
	for _, call := range callers {
		wg.Go(func() {
			own, failed, failure := one(ctx, call, began.Add(duration), done)
			mu.Lock()
			defer mu.Unlock()
			took, total.Failed = append(took, own...), total.Failed+failed
			if total.failure == nil {
				total.failure = failure
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	total.Requests = len(took)
	total.PerSecond = float64(len(took)) / time.Since(began).Seconds()
	total.P50, total.P99 = quantile(took, 0.5), quantile(took, 0.99)
	return total
}

// one is one client; it returns the latencies of what succeeded.
func one(ctx context.Context, call caller, end time.Time, done <-chan struct{}) (took []time.Duration, failed int, failure error) {
	for time.Now().Before(end) && ctx.Err() == nil {
		select {
		case <-done:
			return took, failed, failure
		default:
		}
		start := time.Now()
		if err := call(ctx); err != nil {
			failed++
			if failure == nil {
				failure = err
			}
			continue
		}
		took = append(took, time.Since(start))
	}
	return took, failed, failure
}

// quantile of sorted durations, in seconds; 0 of none.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Seconds()
}
