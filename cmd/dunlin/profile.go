package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dunlin-mesh/dunlin/node"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/runtime/profile"
)

type profileCmd struct {
	Node  bool `help:"Profile this machine: what it has, what it can run, how fast."`
	Fresh bool `help:"Try providers and measure again, whatever is kept."`
}

// Help is the second part of `dunlin profile --help`.
func (profileCmd) Help() string {
	return `Reads the machine and its control group, tries each execution provider with a small model in a child process, and
measures those that work, about two seconds each. What was found is kept in the home, and found again when the library,
a driver or the kernel has changed, or with --fresh.

Examples:
  dunlin profile --node
  dunlin profile --node --json | jq '.providers[] | select(.usable) | .name'
  DUNLIN_ONNXRUNTIME=/opt/ort/libonnxruntime.so dunlin profile --node --fresh

Exit codes: 0 done, 1 the machine cannot be read, 2 wrong usage or no home there.`
}

// Run profiles.
func (c profileCmd) Run(e *env) error {
	if !c.Node {
		return api.Errorf(api.CodeUsage, "say what to profile: --node for this machine")
	}
	config, err := node.LoadConfig(e.dir)
	if errors.Is(err, node.ErrNoHome) {
		return api.Errorf(api.CodeUsage, "%v", err)
	}
	if err != nil {
		return err
	}
	engine, _, err := newRuntime(config, e.logger())
	if err != nil {
		return err
	}
	if !e.json {
		fmt.Fprintln(e.stderr, "trying execution providers...")
	}
	p, err := profile.Measure(e, profile.Config{Dir: node.CacheDir(e.dir), Engine: engine.Info(), Fresh: c.Fresh})
	if err != nil && p.OS == "" {
		return err
	}
	if err != nil { // it is known all the same
		fmt.Fprintf(e.stderr, "dunlin: %v\n", err)
	}
	return e.print(p, func(w io.Writer) { printProfile(w, p) })
}

func printProfile(w io.Writer, p profile.Profile) {
	fmt.Fprintf(w, "system    %s/%s, kernel %s\n", p.OS, p.Arch, plain(p.Kernel))
	fmt.Fprintf(w, "cpu       %s, %d cores, %.3g usable\n", plain(p.CPU), p.Cores, p.CPUs)
	fmt.Fprintf(w, "isa       %s\n", strings.Join(p.ISA, " "))
	limit := ""
	if p.Memory.LimitBytes < p.Memory.TotalBytes {
		limit = fmt.Sprintf(", limit %s by control group v%d", size(p.Memory.LimitBytes), p.Cgroup)
	}
	fmt.Fprintf(w, "memory    %s%s, %s available\n", size(p.Memory.TotalBytes), limit, size(p.Memory.AvailableBytes))
	if p.BandwidthBytes > 0 {
		fmt.Fprintf(w, "          %.1f GB/s\n", p.BandwidthBytes/1e9)
	}
	fmt.Fprintf(w, "disk      %s, %s free, at %s\n", size(p.Disk.TotalBytes), size(p.Disk.FreeBytes), plain(p.Disk.Path))
	for _, a := range p.Accelerators {
		fmt.Fprintf(w, "device    %s %s, driver %s\n", plain(a.Vendor), plain(a.Device), plain(a.Driver))
	}
	if p.Engine.Reason != "" {
		fmt.Fprintf(w, "engine    %s\n", plain(p.Engine.Reason))
		return
	}
	fmt.Fprintf(w, "engine    %s %s, %s\n\n", p.Engine.Name, p.Engine.Version, plain(p.Engine.LibraryPath))
	t := newTable(w, "PROVIDER", "USABLE", "GEMM F32", "GEMM I8", "CONV F32", "CONV I8", "CLASS", "WHY")
	for _, q := range p.Providers {
		usable, s := "no", profile.Speed{}
		if q.Usable {
			usable = "yes"
		}
		if q.Speed != nil {
			s = *q.Speed
		}
		t.row(string(q.Name), usable, rate(s.GEMMFloat32), rate(s.GEMMInt8), rate(s.ConvFloat32), rate(s.ConvInt8), q.Class, plain(q.Reason))
	}
	t.flush()
	fmt.Fprintf(w, "\nfigures in 10^9 operations per second, measured %s\n", p.MeasuredAt.Local().Format("2006-01-02 15:04"))
}

// rate writes operations per second.
func rate(perSecond float64) string {
	if perSecond == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", perSecond/1e9)
}
