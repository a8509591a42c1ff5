//go:build !linux

package store

import "os"

// preallocate makes f size bytes long; here the file is sparse, and a full disk
// shows at the write.
func preallocate(f *os.File, size int64) error { return f.Truncate(size) }

// datasync makes the contents of f survive power loss.
func datasync(f *os.File) error { return f.Sync() }

// startWriteback is a hint that only Linux takes.
func startWriteback(*os.File, int64, int64) {}

// cloneFile says that blocks cannot be shared here.
func cloneFile(_, _ *os.File) bool { return false }

// cloneRange says that blocks cannot be shared here.
func cloneRange(_, _ *os.File, _, _, _ int64) bool { return false }

// kernelCopy copies nothing: the caller does it by hand.
func kernelCopy(_, _ *os.File, _, _, _ int64) (int64, error) { return 0, nil }
