package profile

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Machine reads what this machine is; path lies on the disk that is meant.
// Providers are left empty. What the system does not tell stays zero; the error
// says that not even memory can be read.
func Machine(ctx context.Context, path string, engine modelrt.Info) (Profile, error) {
	root := os.DirFS("/")
	p := Profile{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: strings.TrimSpace(cpuid.CPU.BrandName), ISA: isa(cpuid.CPU.FeatureSet()),
		Cores: runtime.NumCPU(), CPUs: float64(runtime.NumCPU()), Accelerators: accelerators(root), Engine: engine, Providers: []Provider{},
	}
	if kernel, err := host.KernelVersionWithContext(ctx); err == nil {
		p.Kernel = kernel
	}
	for ; path != filepath.Dir(path); path = filepath.Dir(path) { // it may not be made yet
		if _, err := os.Stat(path); err == nil {
			break
		}
	}
	if usage, err := disk.UsageWithContext(ctx, path); err == nil {
		p.Disk = Disk{Path: path, TotalBytes: usage.Total, FreeBytes: usage.Free}
	}
	var err error
	if p.Memory, err = memory(ctx, root, &p); err != nil {
		return Profile{}, err
	}
	return p, nil
}

// memory reads the machine's memory and what the control group leaves of it and
// of the cores.
func memory(ctx context.Context, root fs.FS, p *Profile) (Memory, error) {
	virtual, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return Memory{}, fmt.Errorf("read memory: %w", err)
	}
	m := Memory{TotalBytes: virtual.Total, LimitBytes: virtual.Total, AvailableBytes: virtual.Available}
	g := readCgroup(root)
	p.Cgroup = g.version
	if g.cpus > 0 {
		p.CPUs = min(p.CPUs, g.cpus)
	}
	if g.memory > 0 && g.memory < m.LimitBytes {
		m.LimitBytes = g.memory
		m.AvailableBytes = min(m.AvailableBytes, g.memory-min(g.memory, g.used))
	}
	return m, nil
}

// isaNames are the instruction sets that kernels of runtimes ask for, as cpuid
// names them in lower case.
func isaNames() []string {
	return []string{
		"sse4", "sse42", "avx", "avx2", "fma3", "f16c", "avxvnni", "avxvnniint8", "avxvnniint16",
		"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avx512bf16", "avx512fp16",
		"amxtile", "amxint8", "amxbf16", "amxfp16",
		"asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme",
	}
}

// isa picks, in order, what matters out of all that the processor can do.
func isa(features []string) []string {
	names := isaNames()
	out := []string{}
	for _, f := range features {
		if name := ISAName(f); slices.Contains(names, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ISAName returns the name of an instruction set without what people write
// differently: "AVX512_VNNI" and "avx512-vnni" are avx512vnni.
func ISAName(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-. ", r) {
			return -1
		}
		return r
	}, strings.ToLower(text))
}
