// Package ortlib knows which build of the ONNX Runtime shared library Dunlin
// is pinned to, and where on this machine it lies. It is the one place of
// both: `make setup` puts the library where [Locate] looks for it, and
// runtime/onnx opens what Locate found.
//
// The library is taken from the official package "onnxruntime" on PyPI, whose
// wheels contain it beside the Python extension. Wheel and library are both
// pinned by SHA-256, so neither the index nor a mirror need be trusted.
//
// A library that is found by itself must be the pinned one; a library that the
// operator names (in the configuration or the environment) may be any, and its
// digest is recorded.
//
// It does not open the library and needs no cgo.
package ortlib

import (
	"path/filepath"
	"runtime"
)

const (
	// Version is the pinned version of ONNX Runtime: the newest that the
	// binding (yalue/onnxruntime_go 1.27.0, C API 24) was tested with here.
	Version = "1.32.0"

	// EnvPath is the environment variable by which an operator names a library.
	EnvPath = "DUNLIN_ONNXRUNTIME"
)

// Library is one pinned build.
type Library struct {
	OS, Arch string // as in GOOS and GOARCH

	// Wheel is the file name on PyPI, and WheelSHA256 its digest in lower hex.
	Wheel       string
	WheelSHA256 string
	// Platform is pip's platform tag for the wheel.
	Platform string

	// Member is the library's path within the wheel, Bytes its size there, and
	// SHA256 its digest.
	Member string
	Bytes  int64
	SHA256 string
}

// pinned lists the builds. The wheels are those for CPython 3.11, whatever
// Python the machine has: only the library is taken out of them, and that has
// nothing to do with Python.
func pinned() []Library {
	return []Library{
		{
			OS: "linux", Arch: "amd64",
			Wheel:       "onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl",
			WheelSHA256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
			Platform:    "manylinux_2_28_x86_64",
			Member:      "onnxruntime/capi/libonnxruntime.so.1.32.0",
			Bytes:       34824680,
			SHA256:      "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
		},
		{
			OS: "linux", Arch: "arm64",
			Wheel:       "onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_aarch64.whl",
			WheelSHA256: "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
			Platform:    "manylinux_2_28_aarch64",
			Member:      "onnxruntime/capi/libonnxruntime.so.1.32.0",
			Bytes:       27165936,
			SHA256:      "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
		},
		{
			OS: "darwin", Arch: "arm64",
			Wheel:       "onnxruntime-1.32.0-cp311-cp311-macosx_14_0_arm64.whl",
			WheelSHA256: "366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c",
			Platform:    "macosx_14_0_arm64",
			Member:      "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
			Bytes:       35272344,
			SHA256:      "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7",
		},
	}
}

// Pinned returns the pinned build for an operating system and architecture,
// and whether there is one.
func Pinned(goos, goarch string) (Library, bool) {
	for _, l := range pinned() {
		if l.OS == goos && l.Arch == goarch {
			return l, true
		}
	}
	return Library{}, false
}

// RelPath is where the library lies under the folder that holds the dunlin
// executable: ort/VERSION/OS-ARCH/FILE.
func (l Library) RelPath() string {
	return filepath.Join("ort", Version, l.OS+"-"+l.Arch, FileName(l.OS))
}

// FileName is the library's usual name on an operating system.
func FileName(goos string) string {
	if goos == "darwin" {
		return "libonnxruntime.dylib"
	}
	return "libonnxruntime.so"
}

// host returns the pinned build for the machine this program runs on.
func host() (Library, bool) { return Pinned(runtime.GOOS, runtime.GOARCH) }
