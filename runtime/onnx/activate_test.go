//go:build cgo && (linux || darwin)

package onnx

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/corpus"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/golden"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

// TestMain makes the test binary the child processes that tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case modelrt.ProbeArgument:
			os.Exit(ProbeMain(context.Background(), os.Args[2:], golden.Checker{}, os.Stdout, os.Stderr))
		case openVINOArgument:
			os.Exit(openVINOChild(os.Args[2]))
		case "activate-for-ever":
			fmt.Fprintln(os.Stderr, activateForEver(os.Args[2], os.Args[3:]))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// activator returns an activator with the real engine and the real prober.
func activator(stateDir, library string) (*modelrt.Activator, error) {
	prober, err := modelrt.NewProber(modelrt.ProberConfig{Env: []string{ortlib.EnvPath + "=" + library}})
	if err != nil {
		return nil, err
	}
	return activatorWith(stateDir, library, prober)
}

func activatorWith(stateDir, library string, prober modelrt.Prober) (*modelrt.Activator, error) {
	engine, err := New(Config{LibraryPath: library, IntraOpThreads: 1})
	if err != nil {
		return nil, err
	}
	return modelrt.New(modelrt.Config{StateDir: stateDir, Engine: engine, Prober: prober, Logger: slog.New(slog.DiscardHandler)})
}

// noProbe is a prober for tests of something else; a child process takes its
// time on a busy machine.
type noProbe struct{}

func (noProbe) Probe(context.Context, modelrt.Trial) (modelrt.Report, error) {
	return modelrt.Report{}, nil
}

func newActivator(tb testing.TB, stateDir string) *modelrt.Activator {
	tb.Helper()
	a, err := activator(stateDir, onnxtest.Library(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := a.Close(); err != nil {
			tb.Error(err)
		}
	})
	return a
}

// candidate makes a release of a model file.
func candidate(path string) modelrt.Candidate {
	dir, entry := filepath.Split(path)
	version := filepath.Base(dir)
	return resolved(modelrt.Release{
		Model: "acme/vad", Version: version, Release: "cid-" + version, Variant: "fp32",
		Dir: filepath.Clean(dir), Entry: entry,
	})
}

func resolved(r modelrt.Release) modelrt.Candidate {
	return modelrt.Candidate{Release: r, Verify: func(context.Context) error { return nil }}
}

func resolve(_ context.Context, r modelrt.Release) (modelrt.Candidate, error) {
	return resolved(r), nil
}

// TestSwitchUnderLoad switches between three releases of a real model 50 times
// while requests run; none may fail, and each must be the answer of the
// release that it names.
func TestSwitchUnderLoad(t *testing.T) {
	a, err := activatorWith(t.TempDir(), onnxtest.Library(t), noProbe{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	var candidates []modelrt.Candidate
	want := map[string][]byte{}
	for _, name := range []string{silero51, silero60, silero62} {
		out, err := load(t, name).Run(t.Context(), speech(1))
		if err != nil {
			t.Fatal(err)
		}
		c := candidate(corpus.File(t, name))
		candidates = append(candidates, c)
		want[c.Version] = out["output"].Data
	}
	if err := a.Activate(t.Context(), candidates[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				out, info, err := a.Infer(t.Context(), "acme/vad", speech(1))
				if err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				if !slices.Equal(out["output"].Data, want[info.Version]) {
					t.Errorf("that is not the answer of version %s", info.Version)
					return
				}
				mu.Lock()
				answers[info.Version]++
				mu.Unlock()
			}
		})
	}
	for i := range 50 {
		if err := a.Activate(t.Context(), candidates[(i+1)%3]); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
	if len(answers) != 3 {
		t.Errorf("not every version answered: %v", answers)
	}
	t.Logf("answers: %v", answers)
}

// TestBadModelsLeaveTheActiveOneServing is Law 6 with real bad files.
func TestBadModelsLeaveTheActiveOneServing(t *testing.T) {
	a := newActivator(t, t.TempDir())
	good := corpus.File(t, silero60)
	if err := a.Activate(t.Context(), candidate(good)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"truncated":    whole[:len(whole)/3],
		"garbage":      []byte(strings.Repeat("garbage ", 1000)),
		"wrong opset":  model{opset: 999, op: "Identity", in: f32Type(-1), out: f32Type(-1)}.encode(),
		"a tflite":     append([]byte{0x1c, 0, 0, 0}, "TFL3 and so on"...),
		"only strings": identity(elemStr, -1).encode(),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "v", "model.onnx")
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := a.Activate(t.Context(), candidate(path)); !errors.Is(err, modelrt.ErrLoad) {
				t.Errorf("got %v, want ErrLoad", err)
			} else {
				t.Log(err)
			}
			if _, info, err := a.Infer(t.Context(), "acme/vad", speech(1)); err != nil || info.Version != "v6.0" {
				t.Errorf("version %s answers, %v", info.Version, err)
			}
		})
	}
}

// TestKilledWhileActivating kills a real process that switches between real
// releases, and restores what it left.
func TestKilledWhileActivating(t *testing.T) {
	library := onnxtest.Library(t)
	files := []string{corpus.File(t, silero51), corpus.File(t, silero60), corpus.File(t, silero62)}
	stateDir := filepath.Join(t.TempDir(), "state")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 5 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"activate-for-ever", stateDir}, files...)...)
		cmd.Env = append(os.Environ(), ortlib.EnvPath+"="+library)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it has begun
			t.Fatal(err)
		}
		// No wait for a condition: any moment is a good one.
		<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed, as it should be
		a := newActivator(t, stateDir)
		if err := a.Restore(t.Context(), resolve); err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.Infer(t.Context(), "acme/vad", speech(1)); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// activateForEver is the process that TestKilledWhileActivating kills.
func activateForEver(stateDir string, files []string) error {
	a, err := activator(stateDir, os.Getenv(ortlib.EnvPath))
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := a.Activate(context.Background(), candidate(files[i%len(files)])); err != nil {
			return err
		}
		if i == 0 {
			fmt.Println("begun")
		}
	}
}
