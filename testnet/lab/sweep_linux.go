package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// A lab's namespaces are called namePrefix, its ID, and what they are. As long
// as the process that made it lives, it holds a lock on the file claims/ID.
const claims = "/run/dunlin-lab"

// claim makes and locks the file that says that a lab is in use.
func claim(id string) (f *os.File, err error) {
	err = exclusive(func() error {
		f, err = lock(id)
		return err
	})
	return f, err
}

// exclusive calls f while no other process makes or looks for claims.
func exclusive(f func() error) (err error) {
	if err := os.MkdirAll(claims, 0o700); err != nil {
		return err
	}
	dir, err := os.Open(claims)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", claims, err)
	}
	return f()
}

func lock(id string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(claims, id), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

// release removes a claim; the lock goes with it.
func release(f *os.File) error { return errors.Join(os.Remove(f.Name()), f.Close()) }

// sweep removes the labs of processes that have ended.
func sweep(ctx context.Context) error {
	return exclusive(func() error {
		entries, err := os.ReadDir(claims)
		if err != nil {
			return fmt.Errorf("look for labs of killed runs: %w", err)
		}
		for _, e := range entries {
			f, err := lock(e.Name())
			if errors.Is(err, unix.EWOULDBLOCK) {
				continue // in use
			}
			if err != nil {
				return fmt.Errorf("look for labs of killed runs: %w", err)
			}
			if err := errors.Join(remove(ctx, e.Name()), release(f)); err != nil {
				return fmt.Errorf("remove the lab of a killed run: %w", err)
			}
		}
		return nil
	})
}

// remove ends the processes in a lab's namespaces and removes these. The
// interfaces go with them.
func remove(ctx context.Context, id string) error {
	names, err := filepath.Glob(filepath.Join(namespaces, namePrefix+id+"-*"))
	if err != nil || len(names) == 0 {
		return err
	}
	ours := make(map[uint64]bool)
	var lines []string
	for _, path := range names {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			return fmt.Errorf("namespace %s: %w", path, err)
		}
		ours[st.Ino] = true
		lines = append(lines, "netns del "+filepath.Base(path))
	}
	return errors.Join(killWithin(ours), ip(ctx, "", lines...))
}

// killWithin kills the processes whose network namespace is one of these.
func killWithin(inodes map[uint64]bool) error {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(filepath.Join("/proc", p.Name(), "ns", "net"), &st) != nil || !inodes[st.Ino] {
			continue // it has ended, or is elsewhere
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("kill process %d: %w", pid, err))
		}
	}
	return errors.Join(errs...)
}
