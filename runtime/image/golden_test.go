package image

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// golden is a picture and the input that Pillow and NumPy make of it, see
// testdata/make.py.
type golden struct {
	name, file string
	metadata   map[string]string
	shape      []int64 // of the port
	want       []int64 // of the tensor, shape if nil
	mean, most float64 // how far it may be on average and anywhere, of 255
}

// Steps of rounding differ by one or two of 255 among resizers. A decoder of a
// lossy format may differ by as much again, and more where it has to make
// colours larger: Go's decoders repeat them, libjpeg and libwebp interpolate.
func goldens() []golden {
	imagenet := map[string]string{
		"Image.BitmapPixelFormat": "Rgb8", "Image.NominalPixelRange": "Normalized_0_1",
		"dunlin.image.mean": "0.485, 0.456, 0.406", "dunlin.image.std": "0.229,0.224,0.225",
	}
	rgb := func(more ...string) map[string]string {
		m := map[string]string{"Image.BitmapPixelFormat": "Rgb8"}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	const resize = "dunlin.image.resize"
	whole := []int64{-1, 3, 61, 97}
	return []golden{
		{"picture-png-imagenet", "picture.png", imagenet, []int64{-1, 3, 24, 32}, []int64{1, 3, 24, 32}, 0.5, 2},
		{"picture-jpg-imagenet", "picture.jpg", imagenet, []int64{1, 3, 24, 32}, nil, 0.5, 2},
		{"subsampled-jpg-imagenet", "subsampled.jpg", imagenet, []int64{1, 3, 24, 32}, nil, 1, 12},
		{"picture-webp-imagenet", "picture.webp", imagenet, []int64{1, 3, 24, 32}, nil, 1, 12},
		{"lossless-webp-imagenet", "lossless.webp", imagenet, []int64{1, 3, 24, 32}, nil, 0.5, 2},
		{"bicubic-bgr-nhwc", "picture.png", map[string]string{"IMAGE.bitmappixelformat": "BGR8", "Dunlin.Image.Interpolation": "bicubic"}, []int64{1, 30, 40, 3}, nil, 0.7, 3},
		{"nearest", "picture.png", rgb("dunlin.image.interpolation", "nearest"), []int64{1, 3, 23, 31}, nil, 0, 0},
		{"linear", "picture.png", rgb("dunlin.image.interpolation", "linear"), []int64{1, 3, 24, 32}, nil, 0.7, 2},
		{"fit", "picture.png", rgb(resize, "fit", "dunlin.image.pad", "114", "Image.NominalPixelRange", "Normalized_1_1"), []int64{1, 3, 32, 32}, nil, 0.5, 2},
		{"letterbox", "picture.png", rgb(resize, "letterbox", "dunlin.image.pad", "114"), []int64{1, 3, 32, 32}, nil, 0.5, 2},
		{"crop", "picture.png", rgb(resize, "crop"), []int64{1, 3, 24, 24}, nil, 0.5, 2},
		{"height", "picture.png", rgb(), []int64{-1, 3, 48, -1}, []int64{1, 3, 48, 76}, 0.5, 2},
		{"gray", "gray.jpg", map[string]string{"Image.BitmapPixelFormat": "Gray8"}, []int64{-1, 1, -1, -1}, []int64{1, 1, 61, 97}, 0.5, 2},
		{"luma", "picture.png", map[string]string{"Image.BitmapPixelFormat": "Gray8"}, []int64{1, 1, 61, 97}, nil, 0, 0},
		{"gamma", "picture.png", rgb("Image.ColorSpaceGamma", "Linear", "Image.NominalPixelRange", "Normalized_0_1", resize, "none"), whole, []int64{1, 3, 61, 97}, 1e-4, 1e-3},
		{"alpha-straight", "alpha.png", map[string]string{"Image.BitmapPixelFormat": "Rgba8"}, []int64{1, 4, 61, 97}, nil, 0.5, 2},
		{"alpha-black", "alpha.png", rgb(), whole, []int64{1, 3, 61, 97}, 0.5, 1},
		{"narrow-range", "picture.png", rgb("Image.NominalPixelRange", "NominalRange_16_235"), whole, []int64{1, 3, 61, 97}, 1e-4, 1e-3},
	}
}

func TestGoldens(t *testing.T) {
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			port := modelrt.Port{Name: "x", DType: modelrt.F32, Shape: g.shape}
			got, err := Tensor(t.Context(), g.metadata, port, [][]byte{picture(t, g.file)}, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			shape := g.want
			if shape == nil {
				shape = g.shape
			}
			want := modelrt.Tensor{DType: modelrt.F32, Shape: shape, Data: picture(t, g.name+".f32")}
			if err := want.Validate(); err != nil {
				t.Fatal(err)
			}
			mean, most := distance(t, g, got, want)
			t.Logf("differs by %.3f on average, at most %.2f of 255", mean, most)
			if mean > g.mean || most > g.most {
				t.Errorf("differs by %.3f on average, at most %.2f of 255; %g and %g are allowed", mean, most, g.mean, g.most)
			}
		})
	}
}

// distance compares in units of a picture's 0 to 255.
func distance(t *testing.T, g golden, got, want modelrt.Tensor) (mean, most float64) {
	t.Helper()
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != len(want.Data) || got.Shape[1] != want.Shape[1] || got.Shape[3] != want.Shape[3] {
		t.Fatalf("shape is %v, want %v", got.Shape, want.Shape)
	}
	s, err := parseSpec(g.metadata)
	if err != nil {
		t.Fatal(err)
	}
	unit := (s.high - s.low) / 255 / s.std[0]
	n := len(want.Data) / 4
	for i := range n {
		d := math.Abs(float64(at(got, i))-float64(at(want, i))) / unit
		mean, most = mean+d/float64(n), max(most, d)
	}
	return mean, most
}

func at(t modelrt.Tensor, i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
}

func picture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
