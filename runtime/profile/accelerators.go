package profile

import (
	"cmp"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// maxAccelerators bounds what is listed of a machine.
const maxAccelerators = 64

// accelerators lists GPUs and their like under root, which is "/".
func accelerators(root fs.FS) []Accelerator {
	found := append(nvidia(root), drm(root)...)
	if len(found) > maxAccelerators {
		found = found[:maxAccelerators]
	}
	return found
}

// nvidia reads what NVIDIA's own driver tells in /proc.
func nvidia(root fs.FS) []Accelerator {
	found := []Accelerator{}
	version := "nvidia"
	if text, err := fs.ReadFile(root, "proc/driver/nvidia/version"); err == nil {
		if v := regexp.MustCompile(`\b\d+\.\d+(\.\d+)?\b`).FindString(string(text)); v != "" {
			version += " " + v
		}
	}
	cards, err := fs.Glob(root, "proc/driver/nvidia/gpus/*/information")
	if err != nil {
		return found
	}
	slices.Sort(cards)
	for _, name := range cards {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			continue
		}
		device := "GPU"
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "Model:"); ok {
				device = strings.TrimSpace(value)
			}
		}
		found = append(found, Accelerator{Vendor: "nvidia", Device: device, Driver: version})
	}
	return found
}

// drm reads the cards of the kernel's graphics system; NVIDIA's own driver has
// told of its cards already.
func drm(root fs.FS) []Accelerator {
	var found []Accelerator
	cards, err := fs.Glob(root, "sys/class/drm/card*")
	if err != nil {
		return nil
	}
	card := regexp.MustCompile(`^card\d+$`)
	slices.Sort(cards)
	for _, dir := range cards {
		if !card.MatchString(path.Base(dir)) { // an output of a card
			continue
		}
		vendor, device := line(root, dir+"/device/vendor"), line(root, dir+"/device/device")
		driver := ""
		if text := line(root, dir+"/device/uevent"); text != "" {
			driver = strings.TrimPrefix(text, "DRIVER=")
		}
		if driver == "nvidia" || (vendor == "" && driver == "") {
			continue
		}
		found = append(found, Accelerator{Vendor: vendorName(vendor), Device: cmp.Or(device, "GPU"), Driver: driver})
	}
	return found
}

// vendorName names the makers by their PCI numbers.
func vendorName(id string) string {
	switch id {
	case "0x10de":
		return "nvidia"
	case "0x1002":
		return "amd"
	case "0x8086":
		return "intel"
	case "":
		return "unknown"
	}
	return id
}

// line returns the first line of a small file; empty if there is none.
func line(root fs.FS, name string) string {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(first)
}
