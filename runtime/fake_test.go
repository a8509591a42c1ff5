package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// fakeEngine "loads" files that begin with "good"; a session answers with its
// file's content. It counts what is open.
type fakeEngine struct {
	reason string        // no runtime, if not empty
	onLoad func()        // called in Load
	hold   chan struct{} // if not nil, runs wait for it to be closed

	open    atomic.Int64
	maxOpen atomic.Int64
	loads   atomic.Int64
}

func (e *fakeEngine) Info() Info { return Info{Name: "fake", Reason: e.reason} }

func (e *fakeEngine) Load(ctx context.Context, path string) (Session, error) {
	e.loads.Add(1)
	if e.onLoad != nil {
		e.onLoad()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(content, []byte("good")) {
		return nil, fmt.Errorf("%w: %s: not good (%w)", ErrLoad, path, err)
	}
	e.maxOpen.Store(max(e.maxOpen.Load(), e.open.Add(1)))
	return &fakeSession{engine: e, content: content}, nil
}

type fakeSession struct {
	engine  *fakeEngine
	content []byte
	running atomic.Int64
	closed  sync.Once
	isShut  atomic.Bool
}

func (s *fakeSession) Signature() Signature {
	return Signature{Inputs: []Port{{Name: "x", DType: U8, Shape: []int64{-1}}}, Outputs: []Port{{Name: "y", DType: U8, Shape: []int64{-1}}}}
}

func (s *fakeSession) Run(ctx context.Context, inputs map[string]Tensor) (map[string]Tensor, error) {
	s.running.Add(1)
	defer s.running.Add(-1)
	if s.isShut.Load() {
		return nil, fmt.Errorf("session used after Close: %w", ErrClosed)
	}
	if err := s.Signature().CheckInputs(inputs); err != nil {
		return nil, err
	}
	if hold := s.engine.hold; hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.isShut.Load() {
		return nil, errors.New("session closed under a request")
	}
	return map[string]Tensor{"y": {U8, []int64{int64(len(s.content))}, s.content}}, nil
}

func (s *fakeSession) Close() error {
	if s.running.Load() > 0 {
		panic("closed under a request")
	}
	s.closed.Do(func() {
		s.isShut.Store(true)
		s.engine.open.Add(-1)
	})
	return nil
}

// proberFunc is a Prober.
type proberFunc func(ctx context.Context, path string) error

func (f proberFunc) Probe(ctx context.Context, t Trial) (Report, error) {
	return Report{}, f(ctx, t.Path)
}

func fine(context.Context, string) error { return nil }

// site is one machine's disk and what an activator needs.
type site struct {
	state, files string
	engine       *fakeEngine
	prober       Prober
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{state: filepath.Join(t.TempDir(), "state"), files: t.TempDir(), engine: &fakeEngine{}, prober: proberFunc(fine)}
}

// start is what a process does first; the activator is closed with the test.
func (s *site) start(t *testing.T) *Activator {
	t.Helper()
	a, err := New(Config{StateDir: s.state, Engine: s.engine, Prober: s.prober, Logger: discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// candidate puts a release on disk; its model file has the given content.
func (s *site) candidate(t *testing.T, version, content string) Candidate {
	t.Helper()
	dir := filepath.Join(s.files, version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.onnx"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return s.resolved(Release{Model: "acme/vad", Version: version, Release: "cid-" + version, Variant: "fp32", Dir: dir, Entry: "model.onnx"})
}

// resolved makes a candidate of a release whose files are said to be right
// while they are there.
func (s *site) resolved(r Release) Candidate {
	return Candidate{Release: r, Verify: func(context.Context) error {
		_, err := os.Stat(r.Path())
		return err
	}}
}

func (s *site) resolve(_ context.Context, r Release) (Candidate, error) { return s.resolved(r), nil }

var oneByte = map[string]Tensor{"x": {U8, []int64{1}, []byte{1}}}

// mustServe checks which version answers, and with what.
func mustServe(t *testing.T, a *Activator, version, content string) {
	t.Helper()
	out, info, err := a.Infer(t.Context(), "acme/vad", oneByte)
	if err != nil {
		t.Fatalf("version %s should serve: %v", version, err)
	}
	if info.Version != version || string(out["y"].Data) != content {
		t.Fatalf("version %s answers %q, want %s and %q", info.Version, out["y"].Data, version, content)
	}
}

// status returns the only model's.
func status(t *testing.T, a *Activator) ModelStatus {
	t.Helper()
	all := a.Status()
	if len(all) != 1 {
		t.Fatalf("%d models are known, want 1", len(all))
	}
	return all[0]
}

var discard = slog.New(slog.DiscardHandler)

// fakeChecker runs "golden sets", whose folders' names say how they end.
type fakeChecker struct{}

func (fakeChecker) Check(ctx context.Context, dir string, s Session) ([]GoldenCheck, error) {
	if _, err := s.Run(ctx, oneByte); err != nil {
		return nil, err
	}
	check := GoldenCheck{Output: "y", Metric: "element", Value: 2, Limit: 1, Cases: 1}
	switch filepath.Base(dir) {
	case "differs":
		return []GoldenCheck{check}, fmt.Errorf("%w: y", ErrGolden)
	case "fails":
		return nil, ErrRun
	}
	check.Value, check.OK = 0, true
	return []GoldenCheck{check}, nil
}

func (fakeChecker) Inputs(string, Signature) (map[string]Tensor, error) { return oneByte, nil }
