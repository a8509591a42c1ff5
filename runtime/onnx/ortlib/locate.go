package ortlib

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ErrNotFound: no library lies where one is looked for. Run `make setup`, or
// name one in DUNLIN_ONNXRUNTIME.
var ErrNotFound = errors.New("no ONNX Runtime library found")

// ErrMismatch: a library was found, but it is not the pinned one, bit for bit.
// Remove it and run `make setup`, or name it in DUNLIN_ONNXRUNTIME to use it
// all the same.
var ErrMismatch = errors.New("not the pinned ONNX Runtime library")

// Found is a library on this machine.
type Found struct {
	Path   string // absolute
	SHA256 string // lower hex
	Pinned bool   // it is a pinned build
	// Version is the library's, where it is a pinned build.
	Version string
}

// Locate finds the library: explicit if not empty (the configuration), then
// the variable EnvPath of getenv, then the places beside the executable (an
// absolute path; symbolic links are followed) in the order of Places. Errors
// wrap ErrNotFound, ErrMismatch, or say why a file cannot be read. It reads
// the whole library once (35 MB), for its digest.
func Locate(explicit string, getenv func(string) string, executable string) (Found, error) {
	want, havePin := host()
	if explicit == "" {
		explicit = getenv(EnvPath)
	}
	if explicit != "" {
		abs, err := filepath.Abs(explicit)
		if err != nil {
			return Found{}, fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		sum, err := Sum(abs)
		if err != nil {
			return Found{}, fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		version, pinned := byDigest(sum)
		return Found{Path: abs, SHA256: sum, Pinned: pinned, Version: version}, nil
	}
	if !havePin {
		return Found{}, fmt.Errorf("%w: none is pinned for %s/%s", ErrNotFound, runtime.GOOS, runtime.GOARCH)
	}
	places := Places(executable)
	for _, path := range places {
		sum, err := Sum(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return Found{}, err
		case sum != want.SHA256:
			return Found{}, fmt.Errorf("%w: %s has sha256 %s, version %s has %s", ErrMismatch, path, sum, Version, want.SHA256)
		}
		return Found{Path: path, SHA256: sum, Pinned: true, Version: Version}, nil
	}
	return Found{}, fmt.Errorf("%w: looked for %v", ErrNotFound, places)
}

// Places lists the paths at which Locate looks for the pinned library: those
// of an installed Dunlin (PREFIX/bin/dunlin with PREFIX/lib/dunlin, or lib
// beside the executable), then that of a checkout after `make setup`.
func Places(executable string) []string {
	if real, err := filepath.EvalSymlinks(executable); err == nil {
		executable = real
	}
	dir, name := filepath.Dir(executable), FileName(runtime.GOOS)
	places := []string{
		filepath.Join(filepath.Dir(dir), "lib", "dunlin", name),
		filepath.Join(dir, "lib", "dunlin", name),
	}
	if l, ok := host(); ok {
		places = append(places, filepath.Join(dir, l.RelPath()))
	}
	return places
}

// Sum returns the SHA-256 of a regular file in lower hex.
func Sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // read only: nothing can be lost
	if info, err := f.Stat(); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
