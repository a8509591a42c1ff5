package profile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/onnx"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/onnxtest"
	"github.com/dunlin-mesh/dunlin/runtime/profile"
)

// TestMain makes the test binary the child processes that tests start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case modelrt.ProbeArgument:
			os.Exit(onnx.ProbeMain(context.Background(), os.Args[2:], nil, os.Stdout, os.Stderr))
		case profile.MeasureArgument:
			engine, rest, err := onnx.ForChild(os.Args[1], 0, os.Args[2:], os.Stderr)
			if err != nil {
				os.Exit(2)
			}
			os.Exit(profile.MeasureMain(context.Background(), engine, rest, os.Stdout, os.Stderr))
		}
	}
	os.Exit(m.Run())
}

// TestProvidersAreTriedMeasuredAndKept on the library of this machine.
func TestProvidersAreTriedMeasuredAndKept(t *testing.T) {
	e, err := onnx.New(onnx.Config{LibraryPath: onnxtest.Library(t)})
	if err != nil {
		t.Fatal(err)
	}
	cfg := profile.Config{Dir: t.TempDir(), Engine: e.Info()}
	p, err := profile.Measure(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	cpu, ok := p.Provider(modelrt.CPU)
	if !ok || !cpu.Usable || cpu.Class != p.Class(modelrt.CPU) || p.BandwidthBytes <= 0 {
		t.Fatalf("the CPU: %+v", p)
	}
	if s := cpu.Speed; s.GEMMFloat32 <= 0 || s.GEMMInt8 <= 0 || s.ConvFloat32 <= 0 || s.ConvInt8 <= 0 {
		t.Errorf("not measured: %+v, %s", s, cpu.Reason)
	}
	for _, q := range p.Providers {
		if !q.Usable && (q.Reason == "" || strings.Contains(q.Reason, "/tmp/")) {
			t.Errorf("%s: reason is %q", q.Name, q.Reason)
		}
	}
	if len(p.Providers) != len(modelrt.Providers()) {
		t.Errorf("%d providers, want all %d", len(p.Providers), len(modelrt.Providers()))
	}

	// The second time nothing is started: there is no such program.
	cfg.Executable = filepath.Join(t.TempDir(), "none")
	again, err := profile.Measure(t.Context(), cfg)
	if err != nil || !again.MeasuredAt.Equal(p.MeasuredAt) || len(again.Providers) != len(p.Providers) {
		t.Errorf("what was kept: %+v, %v", again, err)
	}
	// Another library, a wish, and a damaged file mean to try again.
	other := cfg
	other.Engine.LibrarySHA256 = strings.Repeat("0", 64)
	fresh := cfg
	fresh.Fresh = true
	for name, c := range map[string]profile.Config{"another library": other, "fresh": fresh, "damaged": cfg} {
		if name == "damaged" {
			if err := os.WriteFile(filepath.Join(cfg.Dir, "profile.json"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p, err := profile.Measure(t.Context(), c)
		if cpu, _ := p.Provider(modelrt.CPU); err != nil || cpu.Usable || cpu.Reason == "" {
			t.Errorf("%s: what cannot be started is usable: %+v, %v", name, cpu, err)
		}
	}
}

// TestOpenVINOIsTriedInItsOwnLibrary: this process never opens it.
func TestOpenVINOIsTriedInItsOwnLibrary(t *testing.T) {
	e, err := onnx.New(onnx.Config{LibraryPath: onnxtest.OpenVINO(t)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Measure(t.Context(), profile.Config{
		Dir: t.TempDir(), Engine: e.Info(), Providers: []modelrt.Provider{modelrt.OpenVINO}, NoSpeed: true,
	})
	if got, _ := p.Provider(modelrt.OpenVINO); err != nil || !got.Usable {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWithoutAnEngineEveryProviderSaysWhy(t *testing.T) {
	p, err := profile.Measure(t.Context(), profile.Config{Dir: t.TempDir(), Engine: modelrt.Info{Name: "none", Reason: "no library"}})
	if err != nil || len(p.Providers) == 0 {
		t.Fatalf("got %+v, %v", p, err)
	}
	for _, q := range p.Providers {
		if q.Usable || q.Reason != "no library" {
			t.Errorf("got %+v", q)
		}
	}
}

func TestMeasureMainRefusesWrongUsage(t *testing.T) {
	var stderr strings.Builder
	engine := modelrt.NoEngine(fmt.Errorf("none"))
	if code := profile.MeasureMain(t.Context(), engine, nil, &strings.Builder{}, &stderr); code != 2 || !strings.Contains(stderr.String(), "usage") {
		t.Errorf("exit code %d and %q", code, stderr.String())
	}
	if code := profile.MeasureMain(t.Context(), engine, []string{"x.onnx"}, &strings.Builder{}, &stderr); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}
