package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is what /proc counts CPU time in: USER_HZ is 100 on every architecture
// that Go knows.
const tick = 10 * time.Millisecond

// useOf reads what a running process took, proc_pid_stat(5) and
// proc_pid_status(5).
func useOf(pid int) (use, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return use{}, err
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return use{}, err
	}
	return parseUse(stat, status)
}

func parseUse(stat, status []byte) (u use, err error) {
	// The second field is the name in parentheses, which may hold anything.
	_, rest, ok := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	fields := strings.Fields(string(rest))
	const user, system = 11, 12 // fields 14 and 15 of all
	if !ok || len(fields) <= system {
		return u, fmt.Errorf("stat of a process: %q", stat)
	}
	for _, i := range []int{user, system} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return u, fmt.Errorf("stat of a process: %w", err)
		}
		u.CPU += time.Duration(n) * tick
	}
	for line := range strings.Lines(string(status)) {
		text, ok := strings.CutPrefix(line, "VmHWM:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
		if err != nil {
			return u, fmt.Errorf("status of a process: %w", err)
		}
		u.Peak = kib << 10
	}
	return u, nil
}

// load is the machine's load average over the last minute, 0 if unknown.
func load() float64 {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(data), " ")
	l, _ := strconv.ParseFloat(first, 64)
	return l
}
