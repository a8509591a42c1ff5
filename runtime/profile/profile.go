package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Profile is what is known of a machine. Its JSON form is stable.
type Profile struct {
	// OS and Arch are as in GOOS and GOARCH; Kernel is its release.
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel,omitempty"`
	// CPU is the processor's name, as it gives it itself.
	CPU string `json:"cpu,omitempty"`
	// ISA are the instruction sets that matter to models, as manifests name them
	// (lower case letters and digits: avx2, avx512vnni, asimddp), in order.
	ISA []string `json:"isa"`
	// Cores are the logical processors; CPUs is how many of them this process may
	// use at once, under its control group.
	Cores int     `json:"cores"`
	CPUs  float64 `json:"cpus"`
	// Memory is the machine's and what this process may take of it.
	Memory Memory `json:"memory"`
	// Cgroup is the version of the control groups that this process runs under,
	// 1 or 2; 0 for none.
	Cgroup int `json:"cgroup,omitempty"`
	// Disk is the one that holds the node's home.
	Disk Disk `json:"disk"`
	// Accelerators are the GPUs and their like that the system shows.
	Accelerators []Accelerator `json:"accelerators"`
	// Engine is the runtime; Reason is set where there is none.
	Engine modelrt.Info `json:"engine"`
	// Providers are the execution providers, each tried; empty from Machine.
	Providers []Provider `json:"providers"`
	// BandwidthBytes is what all usable cores together read and write of memory
	// per second; 0 from Machine.
	BandwidthBytes float64 `json:"memory_bytes_per_second,omitempty"`
	// MeasuredAt is when providers were tried; zero from Machine.
	MeasuredAt time.Time `json:"measured_at,omitzero"`
}

// Memory is in bytes.
type Memory struct {
	TotalBytes uint64 `json:"total_bytes"`
	// LimitBytes is the most that this process may ever have: the control group's
	// limit, or TotalBytes.
	LimitBytes uint64 `json:"limit_bytes"`
	// AvailableBytes is what could be taken at this moment without swapping.
	AvailableBytes uint64 `json:"available_bytes"`
}

// Disk is in bytes.
type Disk struct {
	Path       string `json:"path,omitempty"`
	TotalBytes uint64 `json:"total_bytes,omitempty"`
	FreeBytes  uint64 `json:"free_bytes,omitempty"`
}

// Accelerator is a device that might run models.
type Accelerator struct {
	// Vendor is "nvidia", "amd", "intel", or the PCI number as 0x1234.
	Vendor string `json:"vendor"`
	// Device is its name, or its PCI number.
	Device string `json:"device"`
	// Driver is the kernel module and its version, as far as it tells.
	Driver string `json:"driver,omitempty"`
}

// Provider is an execution provider and whether it works here.
type Provider struct {
	Name   modelrt.Provider `json:"name"`
	Usable bool             `json:"usable"`
	// Reason says why it is not usable or, of one that is, why it could not be
	// measured.
	Reason string `json:"reason,omitempty"`
	// Class is [Profile.Class] of a usable one.
	Class string `json:"class,omitempty"`
	// Speed is what it reached; nil where that was not measured.
	Speed *Speed `json:"speed,omitempty"`
}

// Speed is in operations per second, a multiplication and an addition being
// two; 0 for what the provider cannot do.
type Speed struct {
	GEMMFloat32 float64 `json:"gemm_f32"`
	GEMMInt8    float64 `json:"gemm_i8"`
	ConvFloat32 float64 `json:"conv_f32"`
	ConvInt8    float64 `json:"conv_i8"`
}

// Class returns 16 hexadecimal digits that are the same on machines that run
// models the same way with this provider: SHA-256 over system, architecture,
// instruction sets and the digest of the library, cut to 64 bits.
func (p Profile) Class(provider modelrt.Provider) string {
	text := fmt.Sprintf("dunlin profile class 1\n%s\n%s\n%s\n%s\n%s\n",
		p.OS, p.Arch, strings.Join(p.ISA, " "), p.Engine.LibrarySHA256, provider)
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// Provider returns what is known of an execution provider.
func (p Profile) Provider(name modelrt.Provider) (Provider, bool) {
	for _, q := range p.Providers {
		if q.Name == name {
			return q, true
		}
	}
	return Provider{}, false
}
