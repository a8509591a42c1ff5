package variant

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/manifest"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/profile"
)

const mb = 1 << 20

// laptop is a machine with OpenVINO that works and CUDA that does not.
func laptop() profile.Profile {
	return profile.Profile{
		OS: "linux", Arch: "amd64", ISA: []string{"avx2", "avx512vnni"},
		Memory: profile.Memory{TotalBytes: 8 << 30, LimitBytes: 4 << 30, AvailableBytes: 1 << 30},
		Providers: []profile.Provider{
			{Name: modelrt.CPU, Usable: true, Speed: &profile.Speed{GEMMFloat32: 50e9, GEMMInt8: 100e9, ConvFloat32: 50e9, ConvInt8: 100e9}},
			{Name: modelrt.OpenVINO, Usable: true, Speed: &profile.Speed{GEMMFloat32: 75e9, GEMMInt8: 200e9, ConvFloat32: 75e9, ConvInt8: 200e9}},
			{Name: modelrt.CUDA, Reason: "no such device"},
		},
	}
}

func build(name, precision string, size uint64, r *manifest.Requires) manifest.Variant {
	return manifest.Variant{Name: name, Format: "onnx", Precision: precision, Requires: r, Files: []manifest.File{{Path: "m.onnx", Size: size}}}
}

func names(d Decision) string {
	var out []string
	for _, r := range d.Variants {
		out = append(out, fmt.Sprintf("%d:%s", r.Rank, r.Name))
	}
	return strings.Join(out, " ")
}

func TestChoose(t *testing.T) {
	fp32, int8 := build("fp32", "f32", 40*mb, nil), build("int8", "i8", 10*mb, nil)
	both := []manifest.Variant{fp32, int8}
	vino := build("vino", "f32", 40*mb, &manifest.Requires{EP: []string{"OpenVINO"}})
	cuda := build("cuda", "f16", 20*mb, &manifest.Requires{EP: []string{"CUDA", "warp"}})
	took := func(times map[string]time.Duration) func(manifest.Variant, modelrt.Provider) (time.Duration, bool) {
		return func(v manifest.Variant, _ modelrt.Provider) (time.Duration, bool) {
			d, ok := times[v.Name]
			return d, ok
		}
	}
	for name, c := range map[string]struct {
		in     Input
		want   string // all, in order of rank
		reason string // in the decision, or a row
	}{
		"the faster precision by the profile": {Input{Variants: both}, "1:int8 2:fp32", "slower: 200 %"},
		"what was measured beats the estimate": {
			Input{Variants: both, Latency: took(map[string]time.Duration{"fp32": 10 * time.Millisecond, "int8": 30 * time.Millisecond})}, "1:fp32 2:int8", "slower: 300 %",
		},
		"an estimate is scaled by what was measured": {
			Input{Variants: both, Latency: took(map[string]time.Duration{"fp32": 10 * time.Millisecond})}, "1:int8 2:fp32", "slower",
		},
		"about as fast: fewer bytes": {
			Input{
				Variants: both, Latency: took(map[string]time.Duration{"fp32": 100 * time.Millisecond, "int8": 105 * time.Millisecond}),
				Missing: func(v manifest.Variant) uint64 { return v.Size() },
			}, "1:int8 2:fp32", "about as fast, and 31457280 bytes more",
		},
		"about as fast: what is here already": {
			Input{
				Variants: both, Latency: took(map[string]time.Duration{"fp32": 105 * time.Millisecond, "int8": 100 * time.Millisecond}),
				Missing: func(v manifest.Variant) uint64 {
					if v.Name == "fp32" {
						return 0
					}
					return v.Size()
				},
			}, "1:fp32 2:int8", "more to fetch",
		},
		"another system":      {Input{Variants: []manifest.Variant{build("mac", "f32", mb, &manifest.Requires{OS: []string{"darwin"}}), fp32}}, "1:fp32 0:mac", "this system is linux"},
		"another machine":     {Input{Variants: []manifest.Variant{build("arm", "f32", mb, &manifest.Requires{Arch: []string{"arm64", "arm"}}), fp32}}, "1:fp32 0:arm", "this machine is amd64"},
		"instruction sets":    {Input{Variants: []manifest.Variant{build("amx", "i8", mb, &manifest.Requires{ISA: []string{"AVX512_VNNI", "amxint8"}}), fp32}}, "1:fp32 0:amx", "has no amxint8"},
		"provider not wanted": {Input{Variants: []manifest.Variant{vino, fp32}}, "1:fp32 0:vino", "engine.providers"},
		"provider wanted": {
			Input{Variants: []manifest.Variant{fp32, vino}, Providers: []modelrt.Provider{modelrt.OpenVINO, modelrt.CPU}},
			"1:fp32 2:vino", "no better",
		},
		"provider broken":       {Input{Variants: []manifest.Variant{cuda, fp32}, Providers: []modelrt.Provider{modelrt.CUDA, modelrt.CPU}}, "1:fp32 0:cuda", "CUDA: no such device"},
		"provider nobody knows": {Input{Variants: []manifest.Variant{cuda, fp32}}, "1:fp32 0:cuda", "no execution provider warp"},
		"more memory than the machine has": {
			Input{Variants: []manifest.Variant{build("big", "i8", mb, &manifest.Requires{MinMemoryBytes: 5 << 30}), fp32}}, "1:fp32 0:big", "this machine has 4294967296",
		},
		"more memory than is at hand": {
			Input{Variants: []manifest.Variant{build("big", "i8", mb, &manifest.Requires{MinMemoryBytes: 2 << 30}), fp32}}, "1:fp32 2:big", "1073741824 are at hand",
		},
		"unload first makes room": {
			Input{Variants: []manifest.Variant{build("big", "i8", mb, &manifest.Requires{MinMemoryBytes: 2 << 30}), fp32}, UnloadFirst: true, ServingBytes: 2 << 30},
			"1:big 2:fp32", "slower",
		},
		"nothing fits the memory at hand": {Input{Variants: []manifest.Variant{build("a", "i8", 900*mb, nil), build("b", "f32", 800*mb, nil)}}, "1:a 2:b", "none fits"},
		"what serves stays": {Input{
			Variants: both, Serving: "fp32",
			Latency: took(map[string]time.Duration{"fp32": 10 * time.Millisecond, "int8": 9 * time.Millisecond}),
		}, "1:fp32 2:int8", "not by enough"},
		"what serves goes for something much faster": {Input{Variants: both, Serving: "fp32"}, "1:int8 2:fp32", ""},
		"but not into the last of the memory": {Input{
			Variants: []manifest.Variant{fp32, build("int8", "i8", mb, &manifest.Requires{MinMemoryBytes: 900 * mb})}, Serving: "fp32",
		}, "1:fp32 2:int8", "not by enough"},
		"what serves needs no memory at hand": {Input{Variants: []manifest.Variant{build("old", "i8", mb, &manifest.Requires{MinMemoryBytes: 2 << 30}), fp32}, Serving: "old"}, "1:old 2:fp32", "the fastest"},
		"what serves and no longer fits goes": {Input{Variants: []manifest.Variant{build("old", "i8", mb, &manifest.Requires{ISA: []string{"amxint8"}}), fp32}, Serving: "old"}, "1:fp32 0:old", "the only one that meets"},
		"what was tried and failed": {Input{Variants: both, Failed: func(n string) string {
			if n == "int8" {
				return "no operator QLinearConv"
			}
			return ""
		}}, "1:fp32 0:int8", "no operator QLinearConv"},
		"a format that nothing runs comes last":   {Input{Variants: []manifest.Variant{{Name: "gguf", Format: "gguf"}, fp32}, Runs: func(f string) bool { return f == "onnx" }}, "1:fp32 2:gguf", "no engine here runs gguf"},
		"and is kept where there is nothing else": {Input{Variants: []manifest.Variant{{Name: "gguf", Format: "gguf"}}, Runs: func(string) bool { return false }}, "1:gguf", "the only one"},
		"nothing":      {Input{}, "", "no variants"},
		"nothing fits": {Input{Variants: []manifest.Variant{vino}}, "0:vino", "no variant meets"},
	} {
		t.Run(name, func(t *testing.T) {
			c.in.Profile = laptop()
			d := Choose(c.in)
			text, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(d); got != c.want {
				t.Errorf("got %s, want %s: %s", got, c.want, text)
			}
			if !strings.Contains(string(text), c.reason) {
				t.Errorf("nothing says %q: %s", c.reason, text)
			}
		})
	}
}

func TestWithoutAnEngineFilesAreKeptForAnother(t *testing.T) {
	p := laptop()
	p.Engine.Reason, p.Providers = "no library", nil
	d := Choose(Input{Profile: p, Variants: []manifest.Variant{build("cuda", "f16", mb, &manifest.Requires{EP: []string{"CUDA"}})}})
	if d.Chosen != "cuda" {
		t.Errorf("got %+v", d)
	}
}

// drawInput draws any machine and any release.
func drawInput(t *rapid.T) Input {
	p := laptop()
	p.Memory.AvailableBytes = rapid.Uint64Range(0, 2<<30).Draw(t, "available")
	in := Input{Profile: p, UnloadFirst: rapid.Bool().Draw(t, "unload first"), Providers: []modelrt.Provider{modelrt.CPU, modelrt.OpenVINO}}
	times := map[string]time.Duration{}
	for i := range rapid.IntRange(0, 6).Draw(t, "variants") {
		var r manifest.Requires
		if rapid.Bool().Draw(t, "requires") {
			r.EP = rapid.SliceOfN(rapid.SampledFrom([]string{"cpu", "OpenVINO", "CUDA", "x"}), 0, 2).Draw(t, "ep")
			r.ISA = rapid.SliceOfN(rapid.SampledFrom([]string{"avx2", "sve"}), 0, 1).Draw(t, "isa")
			r.MinMemoryBytes = rapid.SampledFrom([]uint64{0, mb, 1 << 30, 5 << 30}).Draw(t, "memory")
		}
		v := build(fmt.Sprintf("v%d", i), rapid.SampledFrom([]string{"f32", "i8", "f16", ""}).Draw(t, "precision"), rapid.Uint64Range(1, 900*mb).Draw(t, "size"), &r)
		in.Variants = append(in.Variants, v)
		if rapid.Bool().Draw(t, "measured") {
			times[v.Name] = time.Duration(rapid.IntRange(1, 1e9).Draw(t, "took"))
		}
	}
	in.Latency = func(v manifest.Variant, _ modelrt.Provider) (time.Duration, bool) {
		d, ok := times[v.Name]
		return d, ok
	}
	return in
}

// TestDecisionIsWholeAndDeterministic: every variant has its row, every one that
// is not chosen a reason, and asking again gives the same.
func TestDecisionIsWholeAndDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		d := Choose(in)
		if !reflect.DeepEqual(d, Choose(in)) {
			t.Fatal("the second time it is another")
		}
		if len(d.Variants) != len(in.Variants) || d.Reason == "" {
			t.Fatalf("%d rows of %d: %+v", len(d.Variants), len(in.Variants), d)
		}
		for i, r := range d.Variants {
			switch {
			case r.out() != (r.Rank == 0), !r.out() && r.Rank != i+1, (r.Name == d.Chosen) != (r.Rank == 1), (r.Reason == "") != (r.Name == d.Chosen):
				t.Fatalf("row %d: %+v of %+v", i, r, d)
			}
			for _, c := range r.Checks {
				if c.Met != (c.Reason == "") {
					t.Fatalf("check %+v", c)
				}
			}
		}
	})
}

// TestChoiceDoesNotFlap: once what was chosen serves, the same machine chooses it
// again, whatever memory is at hand by then.
func TestChoiceDoesNotFlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		first := Choose(in)
		if first.Chosen == "" {
			return
		}
		in.Serving, in.ServingBytes = first.Chosen, 0
		if again := Choose(in); again.Chosen != first.Chosen {
			t.Fatalf("%s, then %s: %+v", first.Chosen, again.Chosen, again)
		}
		// Less memory at hand changes nothing either.
		in.Profile.Memory.AvailableBytes /= 2
		if again := Choose(in); again.Chosen != first.Chosen {
			t.Fatalf("%s, then with less memory %s", first.Chosen, again.Chosen)
		}
	})
}
