// Package ortlib knows which build of the ONNX Runtime shared library Dunlin
// is pinned to, and where on this machine it lies. It is the one place of
// both: `make setup` puts the library where [Locate] looks for it, and
// runtime/onnx opens what Locate found.
//
// The library is taken from the official package "onnxruntime" on PyPI, whose
// wheels contain it beside the Python extension. Wheel and library are both
// pinned by SHA-256, so neither the index nor a mirror need be trusted.
//
// A second build is pinned for those who want it: the package
// "onnxruntime-openvino", whose library brings Intel's OpenVINO as an execution
// provider ([OpenVINO]). A process opens one library, so a node uses either this
// build or that; `go run ./internal/setup -openvino` fetches it, and the
// operator names it.
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
	"strings"
)

const (
	// Version is the pinned version of ONNX Runtime: the newest that the
	// binding (yalue/onnxruntime_go 1.27.0, C API 24) was tested with here.
	Version = "1.32.0"

	// EnvPath is the environment variable by which an operator names a library.
	EnvPath = "DUNLIN_ONNXRUNTIME"

	// OpenVINOVersion is the pinned version of the build with OpenVINO, the
	// newest on PyPI; its OpenVINO is 2025.4.1.
	OpenVINOVersion = "1.24.1"
)

// Library is one pinned build.
type Library struct {
	OS, Arch string // as in GOOS and GOARCH

	// Package is the name on PyPI, and Version the one that is pinned.
	Package, Version string
	// Wheel is the file name on PyPI, and WheelSHA256 its digest in lower hex.
	Wheel       string
	WheelSHA256 string
	// Platform is pip's platform tag for the wheel.
	Platform string

	// Member is the library itself.
	Member
	// Beside are the files that the library loads from the folder it lies in,
	// under the names that they have in the wheel.
	Beside []Member
}

// Member is one file of a wheel.
type Member struct {
	Path   string // within the wheel
	Bytes  int64
	SHA256 string // lower hex
}

// pinned lists the builds. The wheels are those for CPython 3.11, whatever
// Python the machine has: only the library is taken out of them, and that has
// nothing to do with Python.
func pinned() []Library {
	return []Library{
		{
			OS: "linux", Arch: "amd64",
			Package: "onnxruntime", Version: Version,
			Wheel:       "onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl",
			WheelSHA256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
			Platform:    "manylinux_2_28_x86_64",
			Member:      Member{"onnxruntime/capi/libonnxruntime.so.1.32.0", 34824680, "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f"},
		},
		{
			OS: "linux", Arch: "arm64",
			Package: "onnxruntime", Version: Version,
			Wheel:       "onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_aarch64.whl",
			WheelSHA256: "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
			Platform:    "manylinux_2_28_aarch64",
			Member:      Member{"onnxruntime/capi/libonnxruntime.so.1.32.0", 27165936, "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a"},
		},
		{
			OS: "darwin", Arch: "arm64",
			Package: "onnxruntime", Version: Version,
			Wheel:       "onnxruntime-1.32.0-cp311-cp311-macosx_14_0_arm64.whl",
			WheelSHA256: "366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c",
			Platform:    "macosx_14_0_arm64",
			Member:      Member{"onnxruntime/capi/libonnxruntime.1.32.0.dylib", 35272344, "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7"},
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

// OpenVINO returns the pinned build with the OpenVINO execution provider for an
// operating system and architecture, and whether there is one. Of OpenVINO it
// takes the plugin for CPUs; those for GPUs and NPUs, with their drivers, are
// the operator's own.
func OpenVINO(goos, goarch string) (Library, bool) {
	if goos != "linux" || goarch != "amd64" {
		return Library{}, false
	}
	capi := func(name string, bytes int64, sha256 string) Member {
		return Member{"onnxruntime/capi/" + name, bytes, sha256}
	}
	return Library{
		OS: goos, Arch: goarch,
		Package: "onnxruntime-openvino", Version: OpenVINOVersion,
		Wheel:       "onnxruntime_openvino-1.24.1-cp311-cp311-manylinux_2_28_x86_64.whl",
		WheelSHA256: "3007c803634cc69c6d52af1dea7ce729d9bb62b9a11070fd2f959119199007a8",
		Platform:    "manylinux_2_28_x86_64",
		Member:      capi("libonnxruntime.so.1.24.1", 31260360, "2d963a419b96018b79dfe63bb50120ddcb724149912a8a6d8ac747a557c089f4"),
		Beside: []Member{
			capi("libonnxruntime_providers_shared.so", 15776, "5e02c1ff90e7d71365264dbb6767c00f04a8b57a96cddbc0085c61fa1393250d"),
			capi("libonnxruntime_providers_openvino.so", 2000856, "bf0159d2681d76e7de03fbd302a9204e5490f30816bd41826d57acf7a8dff363"),
			capi("libopenvino.so.2541", 25284089, "ac9634b715a242a61644c77bc38f17508fe73f517e418027e2410f4bee004943"),
			capi("libopenvino_onnx_frontend.so.2541", 7006249, "f426710881d8c1a01d5ed6d7eaa076d923b19983d3ab3a18bb19d25dba7d8923"),
			capi("libopenvino_intel_cpu_plugin.so", 67008289, "034df890550ae9199fe5f8608c0df8fd0fe355f303bad56bea10bae14c14c3cb"),
			capi("libtbb.so.12", 367649, "6781dc6aa8b2ca237d0164258e70266a44667756c02a9a039782ec1d1a67b653"),
		},
	}, true
}

// RelPath is where the library lies under the folder that holds the dunlin
// executable: ort/VERSION/OS-ARCH/FILE, with the version of another package
// than onnxruntime preceded by what makes it other, as in openvino-1.24.1.
func (l Library) RelPath() string {
	version := l.Version
	if kind, ok := strings.CutPrefix(l.Package, "onnxruntime-"); ok {
		version = kind + "-" + version
	}
	return filepath.Join("ort", version, l.OS+"-"+l.Arch, FileName(l.OS))
}

// FileName is the library's usual name on an operating system.
func FileName(goos string) string {
	if goos == "darwin" {
		return "libonnxruntime.dylib"
	}
	return "libonnxruntime.so"
}

// byDigest returns the pinned version of the library with this digest, for the
// machine that this program runs on, and whether it is one of those pinned.
func byDigest(sha256 string) (string, bool) {
	for _, pin := range []func(goos, goarch string) (Library, bool){Pinned, OpenVINO} {
		if l, ok := pin(runtime.GOOS, runtime.GOARCH); ok && l.SHA256 == sha256 {
			return l.Version, true
		}
	}
	return "", false
}

// host returns the pinned build for the machine this program runs on.
func host() (Library, bool) { return Pinned(runtime.GOOS, runtime.GOARCH) }
