package enginetest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Behaviour is what a model of a [Fake] does to the bytes of x.
type Behaviour func(ctx context.Context, x []byte) ([]byte, error)

// Fake is an engine whose model files hold the name of what they do: "double"
// and "endless", as [Subject] wants them, or one of More.
type Fake struct {
	// More are further behaviours by name.
	More map[string]Behaviour
	// OnLoad, unless nil, is called with the name before a model is loaded.
	OnLoad func(name string) error
}

// Subject returns f with its models.
func (f Fake) Subject(tb testing.TB) Subject {
	tb.Helper()
	return Subject{
		Engine: f, Double: WriteFile(tb, "double", []byte("double")),
		Endless: WriteFile(tb, "endless", []byte("endless")), Malformed: WriteFile(tb, "malformed", []byte("nothing known")),
	}
}

// Info implements modelrt.Engine.
func (Fake) Info() modelrt.Info { return modelrt.Info{Name: "fake", Version: "1"} }

// Load implements modelrt.Engine.
func (f Fake) Load(ctx context.Context, path string) (modelrt.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", modelrt.ErrLoad, err)
	}
	name := strings.TrimSpace(string(content))
	do, ok := f.More[name]
	switch {
	case ok:
	case name == "double":
		do = func(_ context.Context, x []byte) ([]byte, error) { return double(x), nil }
	case name == "endless":
		do = func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	default:
		return nil, fmt.Errorf("%w: %s: no model called %.40q", modelrt.ErrLoad, path, name)
	}
	if f.OnLoad != nil {
		if err := f.OnLoad(name); err != nil {
			return nil, fmt.Errorf("%w: %w", modelrt.ErrLoad, err)
		}
	}
	return &fakeSession{do: do}, nil
}

type fakeSession struct {
	do Behaviour

	mu     sync.RWMutex // held for reading by runs
	closed bool
}

// Signature implements modelrt.Session.
func (*fakeSession) Signature() modelrt.Signature {
	port := func(name string) []modelrt.Port {
		return []modelrt.Port{{Name: name, DType: modelrt.F32, Shape: []int64{-1}}}
	}
	return modelrt.Signature{Inputs: port("x"), Outputs: port("y"), Metadata: map[string]string{"dunlin.fake": "yes"}}
}

// Run implements modelrt.Session.
func (s *fakeSession) Run(ctx context.Context, inputs map[string]modelrt.Tensor) (map[string]modelrt.Tensor, error) {
	if err := s.Signature().CheckInputs(inputs); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, fmt.Errorf("run: session %w", modelrt.ErrClosed)
	}
	y, err := s.do(ctx, inputs["x"].Data)
	if err != nil {
		return nil, err
	}
	return map[string]modelrt.Tensor{"y": {DType: modelrt.F32, Shape: []int64{int64(len(y) / 4)}, Data: y}}, nil
}

// Close implements modelrt.Session.
func (s *fakeSession) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
