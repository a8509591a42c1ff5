package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// preallocate makes f size bytes long with the blocks really reserved, so that
// writing into it cannot run out of room. File systems without fallocate get a
// sparse file: there a full disk shows at the write.
func preallocate(f *os.File, size int64) error {
	if size == 0 {
		return f.Truncate(0)
	}
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case unsupported(err):
			return f.Truncate(size)
		default:
			return os.NewSyscallError("fallocate", err)
		}
	}
}

// datasync makes the contents of f survive power loss.
func datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// startWriteback asks the kernel to write a range of f out without waiting for
// it; nothing is promised.
func startWriteback(f *os.File, offset, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE) // a hint only
}

// cloneFile makes dst share all blocks of src, false where that is impossible.
func cloneFile(dst, src *os.File) bool {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil
}

// cloneRange makes a range of dst share the blocks of src, false where that is
// impossible. Offsets and length must be multiples of the block size.
func cloneRange(dst, src *os.File, dstOffset, srcOffset, n int64) bool {
	return unix.IoctlFileCloneRange(int(dst.Fd()), &unix.FileCloneRange{
		Src_fd: int64(src.Fd()), Src_offset: uint64(srcOffset), Src_length: uint64(n), Dest_offset: uint64(dstOffset),
	}) == nil
}

// kernelCopy copies a range within the kernel. It returns how much it copied;
// less than n, without an error, where the kernel cannot or src ends.
func kernelCopy(dst, src *os.File, dstOffset, srcOffset, n int64) (int64, error) {
	var done int64
	for done < n {
		from, to := srcOffset+done, dstOffset+done
		m, err := unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &to, int(n-done), 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
			return done, os.NewSyscallError("copy_file_range", err)
		case err != nil || m == 0:
			return done, nil
		}
		done += int64(m)
	}
	return done, nil
}

func unsupported(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL)
}
