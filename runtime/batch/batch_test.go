package batch

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// proveFor sends what a session with one run at a time needs to prove itself:
// while one request runs, two more wait.
func proveFor(t *testing.T, f *fake, s *session) {
	t.Helper()
	for range proofs {
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() { mustDouble(t, s, float32(i+1)) })
			synctest.Wait()
		}
		wg.Wait()
	}
	if s.verdict != proven {
		t.Fatalf("the model is not proven after %d pairs", s.agreed)
	}
	f.began()
}

func TestBatchesAfterProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Second)
		s := load(t, f, nil)
		proveFor(t, f, s)
		together(t, s, 1, 10)
		if got, want := f.began(), []int64{1, 8, 1}; !slices.Equal(got, want) {
			t.Errorf("runs had %v rows, want %v", got, want)
		}
	})
}

func TestProofRunsAloneAndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Second)
		s := load(t, f, nil)
		together(t, s, 1, 3)
		if got, want := f.began(), []int64{1, 1, 1, 2}; !slices.Equal(got, want) {
			t.Errorf("runs had %v rows, want %v", got, want)
		}
	})
}

func TestEqualRequestsProveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Second)
		s := load(t, f, nil)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { mustDouble(t, s, 7) })
		}
		wg.Wait()
		if s.agreed != 0 {
			t.Errorf("%d pairs were taken as proof", s.agreed)
		}
	})
}

func TestModelsThatMixTheirBatchAreNotBatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Second)
		f.apply = normalised
		s := load(t, f, nil)
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				out, err := s.Run(t.Context(), row(float32(i+1)))
				if err != nil || floats(out["y"])[0] != 1 {
					t.Errorf("answer %v, %v; want 1 as alone", out, err)
				}
			})
		}
		wg.Wait()
		together := slices.DeleteFunc(f.began(), func(rows int64) bool { return rows == 1 })
		if s.verdict != never || len(together) != 1 {
			t.Errorf("verdict %d after runs together of %v rows, want never after one", s.verdict, together)
		}
	})
}

func TestSignaturesThatNeverBatch(t *testing.T) {
	port := func(shape ...int64) []modelrt.Port {
		return []modelrt.Port{{Name: "x", DType: modelrt.F32, Shape: shape}}
	}
	for name, c := range map[string]struct {
		in, out []modelrt.Port
		want    bool
	}{
		"dynamic":      {port(-1, 2), port(-1, 3), true},
		"fixed in":     {port(1, 2), port(-1, 3), false},
		"fixed out":    {port(-1, 2), port(1), false},
		"scalar":       {append(port(-1, 2), port()...), port(-1), false},
		"silero state": {append(port(-1, -1), port(2, -1, 128)...), port(-1, 1), false},
	} {
		if got := batchable(modelrt.Signature{Inputs: c.in, Outputs: c.out}); got != c.want {
			t.Errorf("%s: batchable is %v", name, got)
		}
	}
}

func TestOnlyEqualShapesGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Second)
		s := load(t, f, nil)
		proveFor(t, f, s)
		var wg sync.WaitGroup
		for _, values := range [][]float32{{1}, {1, 2}, {3}, {4, 5}, {6}} {
			wg.Go(func() {
				out, err := s.Run(t.Context(), row(values...))
				want, _ := double(values)
				if err != nil || !slices.Equal(floats(out["y"]), want) {
					t.Errorf("%v was answered %v, %v", values, out, err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if got, want := f.began(), []int64{1, 2, 2}; !slices.Equal(got, want) {
			t.Errorf("runs had %v rows, want %v", got, want)
		}
	})
}

func TestBadRequestFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Second)
		f.apply = picky
		s := load(t, f, nil)
		proveFor(t, f, s)
		var wg sync.WaitGroup
		wg.Go(func() { together(t, s, 20, 4) })
		synctest.Wait()
		wg.Go(func() {
			if _, err := s.Run(t.Context(), row(13)); !errors.Is(err, errBad) {
				t.Errorf("the bad request got %v", err)
			}
		})
		wg.Wait()
	})
}

// TestBatchOutlivesSomeOfItsRequests: it is stopped only when all have left.
func TestBatchOutlivesSomeOfItsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Second)
		s := load(t, f, nil)
		proveFor(t, f, s)
		f.takes = 10 * time.Second
		var wg sync.WaitGroup
		wg.Go(func() { mustDouble(t, s, 1) })
		synctest.Wait()
		leaves := func(after time.Duration) {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				start := time.Now()
				if _, err := s.Run(ctx, row(float32(after))); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != after {
					t.Errorf("got %v after %v, want the deadline after %v", err, time.Since(start), after)
				}
			})
		}
		leaves(12 * time.Second)
		wg.Go(func() { mustDouble(t, s, 2) })
		wg.Wait()
		if got := f.began(); !slices.Equal(got, []int64{1, 2}) || f.stopped != 0 {
			t.Errorf("runs of %v rows, %d stopped; want [1 2], none stopped", got, f.stopped)
		}
		wg.Go(func() { mustDouble(t, s, 1) })
		synctest.Wait()
		leaves(12 * time.Second)
		leaves(13 * time.Second)
		start := time.Now()
		wg.Wait()
		synctest.Wait()
		if took := time.Since(start); took != 13*time.Second || f.stopped != 1 {
			t.Errorf("the batch ended after %v, %d stopped; want 13s and 1", took, f.stopped)
		}
		f.takes = 0
		mustDouble(t, s, 1)
	})
}

func TestDelayGathersAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(time.Second)
		s := load(t, f, func(c *Config) { c.Delay, c.MaxBatch = 5*time.Millisecond, 4 })
		proveFor(t, f, s)
		f.takes = 0
		start := time.Now()
		together(t, s, 1, 3)
		if took := time.Since(start); took != 5*time.Millisecond {
			t.Errorf("3 of at most 4 waited %v, want the delay", took)
		}
		start = time.Now()
		together(t, s, 1, 4)
		if took := time.Since(start); took != 0 {
			t.Errorf("4 of at most 4 waited %v, want 0", took)
		}
		if got := f.began(); !slices.Equal(got, []int64{3, 4}) {
			t.Errorf("runs had %v rows, want [3 4]", got)
		}
	})
}

// TestManyRequestsUnderRace sends requests of random rows, some of which leave,
// and changes their inputs as soon as they return.
func TestManyRequestsUnderRace(t *testing.T) {
	f := newFake(50 * time.Microsecond)
	s := load(t, f, func(c *Config) { c.Concurrency, c.Delay = 2, 100*time.Microsecond })
	var wg sync.WaitGroup
	for seed := range 16 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(seed)))
			values := make([]float32, 6)
			for range 200 {
				rows := 1 + rng.IntN(3)
				for i := range values {
					values[i] = rng.Float32()
				}
				in := map[string]modelrt.Tensor{"x": tensor([]int64{int64(rows), 2}, values[:2*rows])}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(2000))*time.Microsecond)
				out, err := s.Run(ctx, in)
				cancel()
				want, _ := double(floats(in["x"]))
				clear(in["x"].Data)
				switch {
				case errors.Is(err, context.DeadlineExceeded):
				case err != nil:
					t.Error(err)
				case !slices.Equal(floats(out["y"]), want):
					t.Errorf("answer %v, want %v", slices.Collect(maps.Values(out)), want)
				}
			}
		})
	}
	wg.Wait()
}
