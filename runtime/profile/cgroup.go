package profile

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// cgroup is what control groups leave to this process; zeros for no bound.
type cgroup struct {
	version int
	cpus    float64
	memory  uint64 // limit, in bytes
	used    uint64 // of it, without what the kernel would drop at once
}

// unlimited is what version 1 says for no limit: the largest multiple of a page
// in 63 bits, so anything near it.
const unlimited = 1 << 60

// readCgroup reads the control groups of this process under root, which is "/".
// Of all groups up to the root the tightest bound holds. Files: the kernel's
// documentation, admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
func readCgroup(root fs.FS) cgroup {
	lines, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return cgroup{}
	}
	var g cgroup
	for line := range strings.Lines(string(lines)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[0] == "0" && parts[1] == "":
			if g.version == 0 {
				g.version = 2
			}
			each(parts[2], func(dir string) { g.addV2(root, path.Join("sys/fs/cgroup", dir)) })
		case hasController(parts[1], "memory"):
			g.version = 1
			each(parts[2], func(dir string) { g.addMemoryV1(root, path.Join("sys/fs/cgroup/memory", dir)) })
		case hasController(parts[1], "cpu"):
			g.version = 1
			each(parts[2], func(dir string) { g.addCPUV1(root, path.Join("sys/fs/cgroup/cpu", dir)) })
		}
	}
	return g
}

func hasController(list, name string) bool {
	for c := range strings.SplitSeq(list, ",") {
		if c == name {
			return true
		}
	}
	return false
}

// each calls f with a group and all above it. A path from outside this process's
// namespace is taken as the root.
func each(group string, f func(dir string)) {
	group = path.Clean("/" + group)
	for ; group != "/"; group = path.Dir(group) {
		f(group)
	}
	f("/")
}

func (g *cgroup) addV2(root fs.FS, dir string) {
	if limit, ok := number(root, path.Join(dir, "memory.max")); ok {
		used, _ := number(root, path.Join(dir, "memory.current"))
		g.bound(limit, used-min(used, stat(root, path.Join(dir, "memory.stat"), "inactive_file")))
	}
	text, err := fs.ReadFile(root, path.Join(dir, "cpu.max"))
	if err != nil {
		return
	}
	if quota, period, ok := strings.Cut(strings.TrimSpace(string(text)), " "); ok {
		g.quota(quota, period)
	}
}

func (g *cgroup) addMemoryV1(root fs.FS, dir string) {
	if limit, ok := number(root, path.Join(dir, "memory.limit_in_bytes")); ok {
		used, _ := number(root, path.Join(dir, "memory.usage_in_bytes"))
		g.bound(limit, used-min(used, stat(root, path.Join(dir, "memory.stat"), "total_inactive_file")))
	}
}

func (g *cgroup) addCPUV1(root fs.FS, dir string) {
	quota, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_quota_us"))
	if err != nil {
		return
	}
	period, err := fs.ReadFile(root, path.Join(dir, "cpu.cfs_period_us"))
	if err == nil {
		g.quota(strings.TrimSpace(string(quota)), strings.TrimSpace(string(period)))
	}
}

// bound takes the bound that leaves least.
func (g *cgroup) bound(limit, used uint64) {
	if limit == 0 || limit >= unlimited {
		return
	}
	if g.memory == 0 || limit-min(limit, used) < g.memory-min(g.memory, g.used) {
		g.used = used
		g.memory = limit
	}
}

// quota takes microseconds per period; "max" and -1 are no bound.
func (g *cgroup) quota(quota, period string) {
	q, err := strconv.ParseUint(quota, 10, 63)
	if err != nil {
		return
	}
	if p, err := strconv.ParseUint(period, 10, 63); err == nil && p > 0 && q > 0 {
		if cpus := float64(q) / float64(p); g.cpus == 0 || cpus < g.cpus {
			g.cpus = cpus
		}
	}
}

// number reads a file that holds one number; "max" is none.
func number(root fs.FS, name string) (uint64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// stat reads one line of memory.stat; 0 if it is not there.
func stat(root fs.FS, name, key string) uint64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+" "); ok {
			n, _ := strconv.ParseUint(value, 10, 64) // 0 if it is no number
			return n
		}
	}
	return 0
}
