package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespaces is where ip-netns(8) keeps them by name.
const namespaces = "/run/netns"

func privileged() error {
	if os.Geteuid() != 0 {
		return errors.New("namespaces need root")
	}
	return nil
}

// addNamespace makes a namespace that forwards packets, has no IPv6, and whose
// loopback is up.
func addNamespace(ctx context.Context, name string) error {
	if err := ip(ctx, "", "netns add "+name); err != nil {
		return err
	}
	if err := within(name, func() error {
		for _, setting := range [][2]string{
			{"ipv4/ip_forward", "1"},
			{"ipv4/conf/all/rp_filter", "0"},
			{"ipv6/conf/all/disable_ipv6", "1"},
			{"ipv6/conf/default/disable_ipv6", "1"},
		} {
			err := os.WriteFile(filepath.Join("/proc/sys/net", setting[0]), []byte(setting[1]), 0o644)
			if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6 is fine
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return ip(ctx, name, "link set lo up")
}

// within calls f on a thread that is in the namespace.
func within(name string, f func() error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("namespace %s: %w", name, err)
		}
	}()
	there, err := os.Open(filepath.Join(namespaces, name))
	if err != nil {
		return err
	}
	defer there.Close()
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked, so that it ends with its goroutine.
		return errors.Join(err, fmt.Errorf("leave: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}

// enableIP6 gives the namespace of its thread IPv6, whose addresses are usable at
// once: nobody is asked whether they are taken.
func enableIP6() error {
	for _, setting := range [][2]string{
		{"all/disable_ipv6", "0"},
		{"default/disable_ipv6", "0"},
		{"all/accept_dad", "0"},
		{"default/accept_dad", "0"},
	} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", setting[0]), []byte(setting[1]), 0o644); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err) // a kernel without IPv6
		}
	}
	return os.WriteFile("/proc/sys/net/ipv6/conf/lo/disable_ipv6", []byte("0"), 0o644)
}
