package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

// errDigest: bytes that are not the pinned ones. Fetching again may help; if
// it does not, the mirror gives something else than PyPI did.
var errDigest = errors.New("digest mismatch")

// fetcher gets the wheel of lib, into the folder dir if it must be fetched,
// and returns its path.
type fetcher func(ctx context.Context, lib ortlib.Library, dir string) (string, error)

// place puts lib under the folder build, and tells whether it had to.
func place(ctx context.Context, lib ortlib.Library, build string, fetch fetcher) (placed bool, err error) {
	target := filepath.Join(build, lib.RelPath())
	switch sum, err := ortlib.Sum(target); {
	case err == nil && sum == lib.SHA256:
		return false, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("look at what is in place: %w", err)
	}
	dir := filepath.Dir(target)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, fmt.Errorf("make folder: %w", err)
	}
	temp, err := os.MkdirTemp(dir, ".fetch-*")
	if err != nil {
		return false, fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	wheel, err := fetch(ctx, lib, temp)
	if err != nil {
		return false, err
	}
	sum, err := ortlib.Sum(wheel)
	if err != nil {
		return false, fmt.Errorf("read wheel: %w", err)
	}
	if sum != lib.WheelSHA256 {
		return false, fmt.Errorf("%w: wheel %s has sha256 %s, pinned is %s", errDigest, wheel, sum, lib.WheelSHA256)
	}
	fresh := filepath.Join(temp, "library")
	if err := extract(wheel, lib, fresh); err != nil {
		return false, fmt.Errorf("take the library out of %s: %w", wheel, err)
	}
	if err := os.Rename(fresh, target); err != nil {
		return false, err
	}
	return true, durable.SyncDir(dir)
}

// extract writes the one member lib.Member of a wheel to the new file at
// path. Names in the archive are only compared, never used as paths, and no
// more than lib.Bytes are written.
func extract(wheel string, lib ortlib.Library, path string) (err error) {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer z.Close() // read only: nothing can be lost
	var member *zip.File
	for _, f := range z.File {
		if f.Name != lib.Member {
			continue
		}
		if member != nil {
			return fmt.Errorf("two members are called %s", lib.Member)
		}
		member = f
	}
	if member == nil {
		return fmt.Errorf("no member is called %s", lib.Member)
	}
	if member.UncompressedSize64 != uint64(lib.Bytes) {
		return fmt.Errorf("%w: %s has %d bytes, pinned is %d", errDigest, lib.Member, member.UncompressedSize64, lib.Bytes)
	}
	in, err := member.Open()
	if err != nil {
		return err
	}
	defer in.Close() // read only: nothing can be lost
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(in, lib.Bytes+1)); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != lib.SHA256 {
		return fmt.Errorf("%w: %s has sha256 %s, pinned is %s", errDigest, lib.Member, sum, lib.SHA256)
	}
	return out.Sync()
}
