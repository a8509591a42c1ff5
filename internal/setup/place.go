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
	"path"
	"path/filepath"
	"slices"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/runtime/onnx/ortlib"
)

// errDigest: bytes that are not the pinned ones. Fetching again may help; if
// it does not, the mirror gives something else than PyPI did.
var errDigest = errors.New("digest mismatch")

// fetcher gets the wheel of lib, into the folder dir if it must be fetched,
// and returns its path.
type fetcher func(ctx context.Context, lib ortlib.Library, dir string) (string, error)

// place puts lib under the folder build, and tells whether it had to. The
// library comes last: where it lies, what it needs beside it lies too.
func place(ctx context.Context, lib ortlib.Library, build string, fetch fetcher) (placed bool, err error) {
	target := filepath.Join(build, lib.RelPath())
	dir := filepath.Dir(target)
	members := append(slices.Clone(lib.Beside), lib.Member)
	there, err := inPlace(dir, target, members)
	if there || err != nil {
		return false, err
	}
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
	fresh := make([]string, len(members))
	for i, m := range members {
		fresh[i] = filepath.Join(temp, fmt.Sprintf("member-%d", i))
		if err := extract(wheel, m, fresh[i]); err != nil {
			return false, fmt.Errorf("take the library out of %s: %w", wheel, err)
		}
	}
	for i, m := range members {
		if err := os.Rename(fresh[i], targetOf(dir, target, m, i == len(members)-1)); err != nil {
			return false, err
		}
	}
	return true, durable.SyncDir(dir)
}

// targetOf is where a member is put: the library under its usual name, what it
// loads under the name by which it looks for it.
func targetOf(dir, target string, m ortlib.Member, library bool) string {
	if library {
		return target
	}
	return filepath.Join(dir, path.Base(m.Path))
}

// inPlace says whether all members lie there, bit for bit. The library stands
// last.
func inPlace(dir, target string, members []ortlib.Member) (bool, error) {
	for i, m := range members {
		switch sum, err := ortlib.Sum(targetOf(dir, target, m, i == len(members)-1)); {
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("look at what is in place: %w", err)
		case sum != m.SHA256:
			return false, nil
		}
	}
	return true, nil
}

// extract writes one member of a wheel to the new file at path. Names in the
// archive are only compared, never used as paths, and no more than m.Bytes are
// written.
func extract(wheel string, m ortlib.Member, path string) (err error) {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer z.Close() // read only: nothing can be lost
	var member *zip.File
	for _, f := range z.File {
		if f.Name != m.Path {
			continue
		}
		if member != nil {
			return fmt.Errorf("two members are called %s", m.Path)
		}
		member = f
	}
	if member == nil {
		return fmt.Errorf("no member is called %s", m.Path)
	}
	if member.UncompressedSize64 != uint64(m.Bytes) {
		return fmt.Errorf("%w: %s has %d bytes, pinned is %d", errDigest, m.Path, member.UncompressedSize64, m.Bytes)
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
	if _, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(in, m.Bytes+1)); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != m.SHA256 {
		return fmt.Errorf("%w: %s has sha256 %s, pinned is %s", errDigest, m.Path, sum, m.SHA256)
	}
	return out.Sync()
}
