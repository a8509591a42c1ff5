package store

import (
	"fmt"
	"io"
	"os"
)

const (
	// copyStepBytes is how much is copied between two looks at the context.
	copyStepBytes = 8 << 20
	// cloneAlign is what reflinks must be aligned to: the block size of XFS and
	// Btrfs on every machine with 4 KiB pages.
	cloneAlign = 4096
	bufferSize = 256 << 10
)

// copyRange copies n bytes from src to dst in the cheapest way that works:
// sharing blocks, within the kernel, by hand. Bytes of src that are not there
// are an error that wraps io.ErrUnexpectedEOF.
func copyRange(dst, src *os.File, dstOffset, srcOffset, n int64) error {
	if head := -dstOffset & (cloneAlign - 1); (dstOffset-srcOffset)%cloneAlign == 0 && n-head >= cloneAlign {
		middle := (n - head) &^ (cloneAlign - 1)
		if cloneRange(dst, src, dstOffset+head, srcOffset+head, middle) {
			if err := copyBytes(dst, src, dstOffset, srcOffset, head); err != nil {
				return err
			}
			done := head + middle
			return copyBytes(dst, src, dstOffset+done, srcOffset+done, n-done)
		}
	}
	done, err := kernelCopy(dst, src, dstOffset, srcOffset, n)
	if err != nil {
		return err
	}
	return copyBytes(dst, src, dstOffset+done, srcOffset+done, n-done)
}

// copyBytes copies through memory.
func copyBytes(dst, src *os.File, dstOffset, srcOffset, n int64) error {
	if n == 0 {
		return nil
	}
	got, err := io.CopyBuffer(
		writerOnly{io.NewOffsetWriter(dst, dstOffset)},
		io.NewSectionReader(src, srcOffset, n),
		make([]byte, min(n, bufferSize)))
	if err == nil && got < n {
		err = fmt.Errorf("%s ends at byte %d: %w", src.Name(), srcOffset+got, io.ErrUnexpectedEOF)
	}
	return err
}

// writerOnly hides every method but Write, so that io.CopyBuffer uses its
// buffer.
type writerOnly struct{ io.Writer }
