package batch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

func TestConcurrencyAndQueueAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Second)
		s := load(t, f, func(c *Config) { c.Concurrency, c.Queue, c.MaxBatch = 2, 3, 1 })
		var wg sync.WaitGroup
		for i := range 5 { // two run, three wait
			wg.Go(func() { mustDouble(t, s, float32(i)) })
		}
		synctest.Wait()
		if _, err := s.Run(t.Context(), row(1)); !errors.Is(err, modelrt.ErrOverloaded) {
			t.Errorf("a request to a full queue got %v, want ErrOverloaded", err)
		}
		start := time.Now()
		wg.Wait()
		if took := time.Since(start); took != 3*time.Second || f.most != 2 {
			t.Errorf("5 requests took %v with %d at once, want 3s with 2", took, f.most)
		}
		mustDouble(t, s, 1)
	})
}

func TestBytesInFlightAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := load(t, newFake(time.Second), func(c *Config) { c.MaxBytes = 8 })
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { mustDouble(t, s, 1) })
		}
		synctest.Wait()
		if _, err := s.Run(t.Context(), row(1)); !errors.Is(err, modelrt.ErrOverloaded) {
			t.Errorf("bytes over the bound: %v, want ErrOverloaded", err)
		}
		wg.Wait()
		if _, err := s.Run(t.Context(), row(1, 2, 3)); !errors.Is(err, modelrt.ErrInput) {
			t.Errorf("a request that can never fit: %v, want ErrInput", err)
		}
		mustDouble(t, s, 1)
	})
}

// TestEnginesSessionsShareBytes loads two models.
func TestEnginesSessionsShareBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig(slog.New(slog.DiscardHandler))
		cfg.MaxBytes = 4
		e, err := NewEngine(newFake(time.Second), cfg)
		if err != nil {
			t.Fatal(err)
		}
		first, err1 := e.Load(t.Context(), "/1")
		second, err2 := e.Load(t.Context(), "/2")
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { mustDouble(t, first, 1) })
		synctest.Wait()
		if _, err := second.Run(t.Context(), row(1)); !errors.Is(err, modelrt.ErrOverloaded) {
			t.Errorf("got %v, want ErrOverloaded", err)
		}
		wg.Wait()
	})
}

func TestDeadlineInTheQueueAndInARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Hour)
		s := load(t, f, nil)
		start := time.Now()
		var wg sync.WaitGroup
		for _, after := range []time.Duration{3 * time.Second, 2 * time.Second} {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				_, err := s.Run(ctx, row(float32(after)))
				if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != after {
					t.Errorf("got %v after %v, want the deadline after %v", err, took, after)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if got := len(f.began()); got != 1 || f.stopped != 1 {
			t.Errorf("%d runs began and %d were stopped; the other request only waited", got, f.stopped)
		}
		f.takes = 0
		mustDouble(t, s, 1)
	})
}

func TestInputsAreCheckedBeforeTheyWait(t *testing.T) {
	f := newFake(0)
	s := load(t, f, nil)
	_, err := s.Run(t.Context(), map[string]modelrt.Tensor{"z": tensor([]int64{1, 1}, []float32{1})})
	if !errors.Is(err, modelrt.ErrInput) || len(f.began()) != 0 {
		t.Errorf("got %v, want ErrInput and no run", err)
	}
}

func TestConfigIsValidated(t *testing.T) {
	good := DefaultConfig(slog.New(slog.DiscardHandler))
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"batch":       func(c *Config) { c.MaxBatch = 0 },
		"delay":       func(c *Config) { c.Delay = 2 * time.Second },
		"concurrency": func(c *Config) { c.Concurrency = 0 },
		"queue":       func(c *Config) { c.Queue = -1 },
		"bytes":       func(c *Config) { c.MaxBytes = 0 },
		"logger":      func(c *Config) { c.Logger = nil },
	} {
		c := good
		spoil(&c)
		if _, err := NewEngine(newFake(0), c); err == nil {
			t.Errorf("bad %s is accepted", name)
		}
	}
}
