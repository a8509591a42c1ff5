package profile

import (
	"runtime"
	"slices"
	"testing"
	"testing/fstest"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

func files(texts map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range texts {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// TestCgroupsBoundWhatAProcessMayTake: the tightest bound on the way to the root
// holds, and what the kernel would drop at once does not count as used.
func TestCgroupsBoundWhatAProcessMayTake(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  cgroup
	}{
		"none": {nil, cgroup{}},
		"version 2, limited above": {map[string]string{
			"proc/self/cgroup":                            "0::/box/dunlin.service\n",
			"sys/fs/cgroup/box/dunlin.service/cpu.max":    "max 100000\n",
			"sys/fs/cgroup/box/dunlin.service/memory.max": "max\n",
			"sys/fs/cgroup/box/cpu.max":                   "150000 100000\n",
			"sys/fs/cgroup/box/memory.max":                "1000000\n",
			"sys/fs/cgroup/box/memory.current":            "700000\n",
			"sys/fs/cgroup/box/memory.stat":               "anon 5\ninactive_file 300000\n",
		}, cgroup{version: 2, cpus: 1.5, memory: 1000000, used: 400000}},
		"version 2, in a container": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "5000\n", "sys/fs/cgroup/memory.current": "9000\n", "sys/fs/cgroup/cpu.max": "50000 100000\n",
		}, cgroup{version: 2, cpus: 0.5, memory: 5000, used: 9000}},
		"version 1": {map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n1:name=systemd:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "2000\n",
			"sys/fs/cgroup/memory/x/memory.usage_in_bytes": "500\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   "9223372036854771712\n",
			"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us":         "-1\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":           "200000\n",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us":          "100000\n",
		}, cgroup{version: 1, cpus: 2, memory: 2000, used: 500}},
		"nonsense": {map[string]string{
			"proc/self/cgroup": "x\n0::/../../etc\n", "sys/fs/cgroup/memory.max": "-5\n", "sys/fs/cgroup/cpu.max": "1 0\n",
		}, cgroup{version: 2}},
	} {
		if got := readCgroup(files(c.files)); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestAcceleratorsAreTold(t *testing.T) {
	root := files(map[string]string{
		"proc/driver/nvidia/version":                       "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22\nGCC\n",
		"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA GeForce RTX 3060\nIRQ: 1\n",
		"sys/class/drm/card0/device/vendor":                "0x10de\n",
		"sys/class/drm/card0/device/device":                "0x2504\n",
		"sys/class/drm/card0/device/uevent":                "DRIVER=nvidia\n",
		"sys/class/drm/card0-HDMI-A-1/status":              "connected\n",
		"sys/class/drm/card1/device/vendor":                "0x8086\n",
		"sys/class/drm/card1/device/device":                "0x46a6\n",
		"sys/class/drm/card1/device/uevent":                "DRIVER=i915\nPCI_CLASS=30000\n",
	})
	want := []Accelerator{
		{Vendor: "nvidia", Device: "NVIDIA GeForce RTX 3060", Driver: "nvidia 550.54.14"},
		{Vendor: "intel", Device: "0x46a6", Driver: "i915"},
	}
	if got := accelerators(root); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := accelerators(files(nil)); len(got) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestMachineIsRead(t *testing.T) {
	p, err := Machine(t.Context(), t.TempDir()+"/not/made/yet", modelrt.Info{Name: "none"})
	if err != nil {
		t.Fatal(err)
	}
	if p.OS != runtime.GOOS || p.Cores < 1 || p.CPUs <= 0 || p.Memory.TotalBytes == 0 || p.Disk.TotalBytes == 0 ||
		p.Memory.AvailableBytes > p.Memory.TotalBytes || p.Memory.LimitBytes > p.Memory.TotalBytes {
		t.Errorf("incomplete: %+v", p)
	}
}

func TestISANamesAreThoseOfManifests(t *testing.T) {
	got := isa([]string{"AVX2", "AVX512VNNI", "CMPXCHG8", "avx2", "I8MM"})
	if want := []string{"avx2", "avx512vnni", "i8mm"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, text := range []string{"AVX512_VNNI", "avx512-vnni", "avx512vnni"} {
		if got := ISAName(text); got != "avx512vnni" {
			t.Errorf("%s: got %s", text, got)
		}
	}
}

// TestClassTellsApartWhatComputesDifferently and nothing else.
func TestClassTellsApartWhatComputesDifferently(t *testing.T) {
	base := Profile{OS: "linux", Arch: "amd64", ISA: []string{"avx2"}, Engine: modelrt.Info{LibrarySHA256: "aa"}, Kernel: "1"}
	same := base
	same.Kernel, same.Cores, same.Engine.LibraryPath = "2", 64, "/x"
	if len(base.Class(modelrt.CPU)) != 16 || base.Class(modelrt.CPU) != same.Class(modelrt.CPU) {
		t.Error("kernel, cores or path change the class")
	}
	others := []Profile{base, base, base, base}
	others[0].OS, others[1].Arch, others[2].ISA, others[3].Engine.LibrarySHA256 = "darwin", "arm64", nil, "bb"
	seen := map[string]bool{base.Class(modelrt.CPU): true, base.Class(modelrt.OpenVINO): true}
	for _, p := range others {
		seen[p.Class(modelrt.CPU)] = true
	}
	if len(seen) != 6 {
		t.Errorf("%d classes, want 6", len(seen))
	}
}
