package client_test

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/client"
)

// scene is a picture of a room, with noise of so many steps, and a square of
// so many pixels that has come in.
func scene(rng *rand.Rand, noise, square int) *image.YCbCr {
	img := image.NewYCbCr(image.Rect(0, 0, 320, 240), image.YCbCrSubsampleRatio420)
	for y := range 240 {
		for x := range 320 {
			v := 60 + x/4 + y/4
			if x > 100 && x <= 100+square && y > 100 && y <= 100+square {
				v = 230
			}
			img.Y[img.YOffset(x, y)] = byte(min(255, v+rng.IntN(2*noise+1)-noise))
		}
	}
	return img
}

func newSampler(t testing.TB, change func(*client.SamplerConfig)) *client.Sampler {
	t.Helper()
	cfg := client.DefaultSampler()
	cfg.MaxGap = 0
	if change != nil {
		change(&cfg)
	}
	s, err := client.NewSampler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNoiseIsSkippedAndChangeIsNot(t *testing.T) {
	s := newSampler(t, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	var at time.Time
	if !s.Keep(scene(rng, 8, 0), at, 1000) {
		t.Error("the first frame is skipped")
	}
	for range 50 {
		if s.Keep(scene(rng, 8, 0), at, 1000) {
			t.Fatal("noise alone is kept")
		}
	}
	if !s.Keep(scene(rng, 8, 30), at, 1000) {
		t.Error("something small that came in is skipped")
	}
	if s.Keep(scene(rng, 8, 30), at, 1000) {
		t.Error("it stands still now, and is kept again")
	}
	want := client.Sampled{Kept: 2, Skipped: 51, BytesKept: 2000, BytesSaved: 51000}
	if got := s.Sampled(); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// TestSlowChangeAddsUp: dawn, one step of luma in each frame.
func TestSlowChangeAddsUp(t *testing.T) {
	s := newSampler(t, nil)
	kept := 0
	for v := range 40 {
		if s.Keep(uniform(byte(100+v)), time.Time{}, 1) {
			kept++
		}
	}
	if kept != 10 {
		t.Errorf("%d of 40 frames are kept, want each fourth", kept)
	}
}

func uniform(v byte) image.Image {
	img := image.NewGray(image.Rect(0, 0, 64, 64))
	for i := range img.Pix {
		img.Pix[i] = v
	}
	return img
}

func TestGapsAreBounded(t *testing.T) {
	s := newSampler(t, func(c *client.SamplerConfig) { c.MaxGap = time.Second })
	start := time.Unix(0, 0)
	var kept []int
	for i := range 30 { // ten frames a second
		if s.Keep(uniform(100), start.Add(time.Duration(i)*100*time.Millisecond), 1) {
			kept = append(kept, i)
		}
	}
	if len(kept) != 3 || kept[1] != 10 || kept[2] != 20 {
		t.Errorf("frames %v are kept, want 0, 10 and 20", kept)
	}
	if !s.Keep(uniform(100), start, 1) {
		t.Error("a clock that goes back has frames skipped")
	}
}

func TestCutsAndSizesAreKept(t *testing.T) {
	s := newSampler(t, nil)
	s.Keep(uniform(100), time.Time{}, 1)
	if !s.Keep(image.NewGray(image.Rect(0, 0, 3, 2)), time.Time{}, 1) {
		t.Error("a frame of another size is skipped")
	}
	s.Reset()
	if !s.Keep(image.NewGray(image.Rect(0, 0, 3, 2)), time.Time{}, 1) {
		t.Error("the frame after Reset is skipped")
	}
}

// TestTypesOfFramesAgree: whatever type holds a frame, it is the same frame.
func TestTypesOfFramesAgree(t *testing.T) {
	rgba, nrgba, deep := image.NewRGBA(image.Rect(3, 5, 70, 60)), image.NewNRGBA(image.Rect(3, 5, 70, 60)), image.NewRGBA64(image.Rect(3, 5, 70, 60))
	for y := 5; y < 60; y++ {
		for x := 3; x < 70; x++ {
			c := color.RGBA{byte(3 * x), byte(4 * y), byte(x * y), 255}
			rgba.Set(x, y, c)
			nrgba.Set(x, y, c)
			deep.Set(x, y, c)
		}
	}
	s := newSampler(t, func(c *client.SamplerConfig) { c.Threshold, c.CellThreshold = 1, 2 })
	s.Keep(rgba, time.Time{}, 1)
	for _, same := range []image.Image{nrgba, deep} {
		if s.Keep(same, time.Time{}, 1) {
			t.Errorf("%T of the same picture is another", same)
		}
	}
	if s.Keep(image.NewGray(image.Rectangle{}), time.Time{}, 1); s.Keep(image.NewGray(image.Rectangle{}), time.Time{}, 1) {
		t.Error("two frames without pixels differ")
	}
}

func TestSamplerConfigIsValidated(t *testing.T) {
	for _, spoil := range []func(*client.SamplerConfig){
		func(c *client.SamplerConfig) { c.Threshold = -1 },
		func(c *client.SamplerConfig) { c.CellThreshold = 256 },
		func(c *client.SamplerConfig) { c.MaxGap = -1 },
		func(c *client.SamplerConfig) { c.Grid = 3 },
	} {
		cfg := client.DefaultSampler()
		spoil(&cfg)
		if _, err := client.NewSampler(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

// BenchmarkKeep is what a frame of 1080p costs.
func BenchmarkKeep(b *testing.B) {
	s := newSampler(b, nil)
	frame := image.NewYCbCr(image.Rect(0, 0, 1920, 1080), image.YCbCrSubsampleRatio420)
	b.ReportAllocs()
	for b.Loop() {
		s.Keep(frame, time.Time{}, 1)
	}
}
