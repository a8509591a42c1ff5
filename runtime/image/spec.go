package image

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// spec is what a model's metadata asks for.
type spec struct {
	channels      []int // of R, G, B, A (0 to 3) in the model's order; gray alone
	linear        bool
	low, high     float64 // what 0 and 255 become
	mean, std     []float64
	layout        string // "nchw", "nhwc" or empty
	resize        string
	interpolation string
	pad           float64
	width, height int64 // 0 if open
}

// gray is the channel that is luma.
const gray = 4

// maxSide bounds a side that metadata asks for.
const maxSide = 1 << 16

// parseSpec reads the metadata; errors wrap ErrSpec.
func parseSpec(metadata map[string]string) (spec, error) {
	get := make(map[string]string, len(metadata))
	for key, value := range metadata {
		lower, value := strings.ToLower(key), strings.ToLower(strings.TrimSpace(value))
		if other, ok := get[lower]; ok && other != value {
			return spec{}, fmt.Errorf("%w: metadata %s is %q and %q", ErrSpec, key, value, other)
		}
		get[lower] = value
	}
	var s spec
	var err error
	fail := func(key string) error {
		return fmt.Errorf("%w: metadata %s is %q", ErrSpec, key, get[strings.ToLower(key)])
	}
	switch get["image.bitmappixelformat"] {
	case "gray8":
		s.channels = []int{gray}
	case "rgb8":
		s.channels = []int{0, 1, 2}
	case "bgr8":
		s.channels = []int{2, 1, 0}
	case "rgba8":
		s.channels = []int{0, 1, 2, 3}
	case "bgra8":
		s.channels = []int{2, 1, 0, 3}
	case "":
		return spec{}, fmt.Errorf("%w: there is no metadata Image.BitmapPixelFormat", ErrSpec)
	default:
		return spec{}, fail("Image.BitmapPixelFormat")
	}
	switch get["image.colorspacegamma"] {
	case "", "srgb":
	case "linear":
		s.linear = true
	default:
		return spec{}, fail("Image.ColorSpaceGamma")
	}
	switch get["image.nominalpixelrange"] {
	case "", "nominalrange_0_255":
		s.low, s.high = 0, 255
	case "normalized_0_1":
		s.low, s.high = 0, 1
	case "normalized_1_1":
		s.low, s.high = -1, 1
	case "nominalrange_16_235":
		s.low, s.high = 16, 235
	default:
		return spec{}, fail("Image.NominalPixelRange")
	}
	if s.mean, err = perChannel(get["dunlin.image.mean"], len(s.channels), 0); err != nil {
		return spec{}, fail("dunlin.image.mean")
	}
	if s.std, err = perChannel(get["dunlin.image.std"], len(s.channels), 1); err != nil {
		return spec{}, fail("dunlin.image.std")
	}
	if slices.Contains(s.std, 0) {
		return spec{}, fail("dunlin.image.std")
	}
	choices := func(key, standard string, known ...string) (string, error) {
		value := get[key]
		if value == "" {
			return standard, nil
		}
		if slices.Contains(known, value) {
			return value, nil
		}
		return "", fail(key)
	}
	if s.layout, err = choices("dunlin.image.layout", "", "nchw", "nhwc"); err != nil {
		return spec{}, err
	}
	if s.resize, err = choices("dunlin.image.resize", "stretch", "stretch", "fit", "letterbox", "crop", "none"); err != nil {
		return spec{}, err
	}
	if s.interpolation, err = choices("dunlin.image.interpolation", "bilinear", "bilinear", "linear", "bicubic", "nearest"); err != nil {
		return spec{}, err
	}
	if text := get["dunlin.image.pad"]; text != "" {
		if s.pad, err = strconv.ParseFloat(text, 64); err != nil || !(s.pad >= 0 && s.pad <= 255) {
			return spec{}, fail("dunlin.image.pad")
		}
	}
	for key, to := range map[string]*int64{"dunlin.image.width": &s.width, "dunlin.image.height": &s.height} {
		if text := get[key]; text != "" {
			if *to, err = strconv.ParseInt(text, 10, 64); err != nil || *to < 1 || *to > maxSide {
				return spec{}, fail(key)
			}
		}
	}
	return s, nil
}

// perChannel reads one finite number, or n of them with commas between.
func perChannel(text string, n int, standard float64) ([]float64, error) {
	out := make([]float64, n)
	parts := strings.Split(text, ",")
	for i := range out {
		out[i] = standard
		if text == "" {
			continue
		}
		if len(parts) != 1 && len(parts) != n {
			return nil, fmt.Errorf("%d numbers for %d channels", len(parts), n)
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(parts[min(i, len(parts)-1)]), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%q is no number", text)
		}
		out[i] = v
	}
	return out, nil
}

// value returns what a sample of 0 to 255 becomes in the i-th channel.
func (s spec) value(i int, sample float64) float64 {
	v := sample / 255
	if s.linear && s.channels[i] != 3 {
		v = linearised(v)
	}
	return (s.low + v*(s.high-s.low) - s.mean[i]) / s.std[i]
}

// linearised is the transfer function of sRGB, IEC 61966-2-1.
func linearised(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// plain tells whether values stay whole numbers of 0 to 255.
func (s spec) plain() bool {
	for i := range s.channels {
		if s.mean[i] != 0 || s.std[i] != 1 {
			return false
		}
	}
	return s.high >= 235
}
