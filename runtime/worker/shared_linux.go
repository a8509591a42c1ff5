package worker

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// transport is what Info().Worker says.
const transport = "shared memory"

// hasArenas tells whether tensors can lie in shared memory.
const hasArenas = true

// newShared makes a file in memory that holds two arenas of size bytes. It is
// sealed: nobody can make it shorter, which would crash whoever reads there.
func newShared(size int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("dunlin-worker", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make shared memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "dunlin-worker")
	err = unix.Ftruncate(fd, 2*size)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = f.Close() // holds nothing
		return nil, fmt.Errorf("make shared memory of %d bytes: %w", 2*size, err)
	}
	return f, nil
}

// mapShared maps what newShared made.
func mapShared(f *os.File, size int64) ([]byte, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, int(2*size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map shared memory: %w", err)
	}
	return mem, nil
}

func unmapShared(mem []byte) error { return unix.Munmap(mem) }
