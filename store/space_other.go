//go:build !(darwin || linux)

package store

import (
	"errors"
	"io/fs"
	"math"
	"syscall"
)

// freeBytes cannot tell here: room shows at the write.
func freeBytes(string) (uint64, error) { return math.MaxUint64, nil }

// allocated takes a file's length for what it takes on disk.
func allocated(info fs.FileInfo) uint64 { return uint64(info.Size()) }

// inode names a file on disk, whatever its names. Here none can be told from
// another, so hard links count more than once.
type inode struct{ device, number uint64 }

func inodeOf(fs.FileInfo) inode { return inode{} }

// noRoom says whether err means a full disk: ENOSPC, or Windows' numbers for
// ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL.
func noRoom(err error) bool {
	number, ok := errors.AsType[syscall.Errno](err)
	return ok && (number == 28 || number == 112 || number == 39)
}

// rotten says whether a failed read means that the disk has lost the bytes:
// EIO, or Windows' ERROR_CRC.
func rotten(err error) bool {
	number, ok := errors.AsType[syscall.Errno](err)
	return ok && (number == 5 || number == 23)
}
