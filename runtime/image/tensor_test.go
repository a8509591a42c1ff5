package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"runtime"
	"testing"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

var (
	rgb8  = map[string]string{"Image.BitmapPixelFormat": "Rgb8"}
	any32 = modelrt.Port{Name: "x", DType: modelrt.F32, Shape: []int64{-1, 3, -1, -1}}
)

// plainPNG is a picture of one colour.
func plainPNG(t testing.TB, w, h int, c color.Color) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPicturesBecomeRows(t *testing.T) {
	port := modelrt.Port{Name: "x", DType: modelrt.U8, Shape: []int64{-1, 2, 2, 3}}
	files := [][]byte{plainPNG(t, 5, 3, color.RGBA{1, 2, 3, 255}), plainPNG(t, 2, 2, color.RGBA{9, 8, 7, 255})}
	got, err := Tensor(t.Context(), rgb8, port, files, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	want := append(bytes.Repeat([]byte{1, 2, 3}, 4), bytes.Repeat([]byte{9, 8, 7}, 4)...)
	if !bytes.Equal(got.Data, want) || got.Validate() != nil || got.Shape[0] != 2 {
		t.Errorf("tensor %v %v, want %v", got.Shape, got.Data, want)
	}
}

func TestThreeDimensionsTakeOnePicture(t *testing.T) {
	port := modelrt.Port{Name: "x", DType: modelrt.F32, Shape: []int64{3, -1, -1}}
	file := plainPNG(t, 4, 2, color.White)
	got, err := Tensor(t.Context(), rgb8, port, [][]byte{file}, DefaultLimits())
	if err != nil || len(got.Shape) != 3 || got.Shape[1] != 2 || got.Shape[2] != 4 {
		t.Errorf("got %v, %v; want shape [3 2 4]", got.Shape, err)
	}
	if _, err := Tensor(t.Context(), rgb8, port, [][]byte{file, file}, DefaultLimits()); !errors.Is(err, modelrt.ErrInput) {
		t.Errorf("two pictures: %v, want ErrInput", err)
	}
}

func TestSizesOfTheMetadata(t *testing.T) {
	metadata := map[string]string{"Image.BitmapPixelFormat": "Rgb8", "dunlin.image.height": "6"}
	got, err := Tensor(t.Context(), metadata, any32, [][]byte{plainPNG(t, 4, 2, color.White)}, DefaultLimits())
	if err != nil || got.Shape[2] != 6 || got.Shape[3] != 12 {
		t.Errorf("got %v, %v; want 6 rows of 12", got.Shape, err)
	}
}

func TestRefused(t *testing.T) {
	good := plainPNG(t, 4, 2, color.White)
	with := func(key, value string) map[string]string {
		return map[string]string{"Image.BitmapPixelFormat": "Rgb8", key: value}
	}
	fixed := func(dtype modelrt.DType, shape ...int64) modelrt.Port {
		return modelrt.Port{Name: "x", DType: dtype, Shape: shape}
	}
	for name, c := range map[string]struct {
		metadata map[string]string
		port     modelrt.Port
		files    [][]byte
		want     error
	}{
		"no metadata":        {nil, any32, [][]byte{good}, ErrSpec},
		"unknown format":     {with("image.bitmappixelformat", "Cmyk"), any32, [][]byte{good}, ErrSpec},
		"unknown gamma":      {with("Image.ColorSpaceGamma", "2.4"), any32, [][]byte{good}, ErrSpec},
		"unknown range":      {with("Image.NominalPixelRange", "0_1"), any32, [][]byte{good}, ErrSpec},
		"two means":          {with("dunlin.image.mean", "1,2"), any32, [][]byte{good}, ErrSpec},
		"mean nan":           {with("dunlin.image.mean", "nan"), any32, [][]byte{good}, ErrSpec},
		"std zero":           {with("dunlin.image.std", "0"), any32, [][]byte{good}, ErrSpec},
		"unknown resize":     {with("dunlin.image.resize", "zoom"), any32, [][]byte{good}, ErrSpec},
		"pad":                {with("dunlin.image.pad", "256"), any32, [][]byte{good}, ErrSpec},
		"width":              {with("dunlin.image.width", "99999999999"), any32, [][]byte{good}, ErrSpec},
		"fractions as u8":    {with("Image.NominalPixelRange", "Normalized_0_1"), fixed(modelrt.U8, 1, 3, 2, 2), [][]byte{good}, ErrSpec},
		"integers":           {rgb8, fixed(modelrt.I64, 1, 3, 2, 2), [][]byte{good}, modelrt.ErrInput},
		"no picture's shape": {rgb8, fixed(modelrt.F32, 1, 3), [][]byte{good}, modelrt.ErrInput},
		"no channels":        {rgb8, fixed(modelrt.F32, 1, 4, 2, 2), [][]byte{good}, modelrt.ErrInput},
		"too many":           {rgb8, fixed(modelrt.F32, 1, 3, 2, 2), [][]byte{good, good}, modelrt.ErrInput},
		"none":               {rgb8, any32, nil, modelrt.ErrInput},
		"wrong size":         {with("dunlin.image.resize", "none"), fixed(modelrt.F32, 1, 3, 2, 2), [][]byte{good}, ErrPicture},
		"different sizes":    {rgb8, any32, [][]byte{good, plainPNG(t, 3, 3, color.White)}, ErrPicture},
		"no picture":         {rgb8, any32, [][]byte{[]byte("GIF89a")}, ErrPicture},
		"cut off":            {rgb8, any32, [][]byte{good[:len(good)-20]}, ErrPicture},
		"empty":              {rgb8, any32, [][]byte{{}}, ErrPicture},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Tensor(t.Context(), c.metadata, c.port, c.files, DefaultLimits())
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if errors.Is(c.want, ErrPicture) && !errors.Is(err, modelrt.ErrInput) {
				t.Errorf("%v does not say that the request is to be changed", err)
			}
		})
	}
}

// bomb is a PNG of 40 bytes that says it is w by h.
func bomb(w, h uint32) []byte {
	chunk := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)...)
	chunk = append(chunk, 8, 6, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	return binary.BigEndian.AppendUint32(append(b, chunk...), crc32.ChecksumIEEE(chunk))
}

func TestBombsAreRefusedBeforeDecoding(t *testing.T) {
	for _, sides := range [][2]uint32{{1 << 20, 1 << 20}, {1<<24 + 1, 1}, {1<<31 - 1, 1<<31 - 1}} {
		file := bomb(sides[0], sides[1])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Tensor(t.Context(), rgb8, any32, [][]byte{file}, DefaultLimits())
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrPicture) {
			t.Errorf("a picture of %v: %v, want ErrPicture", sides, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
			t.Errorf("refusing a picture of %v took %d bytes", sides, got)
		}
	}
}

// TestBigTensorsAreRefusedBeforeDecoding: many small pictures, one large tensor.
func TestBigTensorsAreRefusedBeforeDecoding(t *testing.T) {
	port := modelrt.Port{Name: "x", DType: modelrt.F32, Shape: []int64{-1, 3, 4096, 4096}}
	_, err := Tensor(t.Context(), rgb8, port, [][]byte{bomb(2, 2), bomb(2, 2)}, DefaultLimits())
	if !errors.Is(err, ErrPicture) || !errors.Is(err, modelrt.ErrTensor) {
		t.Errorf("got %v, want the tensor's size refused", err)
	}
}

func TestDecodingEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Tensor(ctx, rgb8, any32, [][]byte{picture(t, "picture.png")}, DefaultLimits()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
}

// FuzzTensor: no bytes and no metadata make it panic, or a tensor that is not
// valid or over its limit.
func FuzzTensor(f *testing.F) {
	for _, name := range []string{"picture.png", "picture.jpg", "subsampled.jpg", "picture.webp", "lossless.webp", "alpha.png", "gray.jpg"} {
		for _, resize := range []string{"stretch", "fit", "letterbox", "crop"} {
			f.Add(picture(f, name), "Rgba8", resize, "bilinear", int64(-1), int64(13))
			f.Add(picture(f, name), "Gray8", resize, "nearest", int64(5), int64(-1))
		}
	}
	limits := Limits{MaxPixels: 1 << 16, MaxTensorBytes: 1 << 20}
	f.Fuzz(func(t *testing.T, file []byte, pixels, resize, interpolation string, width, height int64) {
		metadata := map[string]string{
			"Image.BitmapPixelFormat": pixels, "dunlin.image.resize": resize,
			"dunlin.image.interpolation": interpolation, "dunlin.image.mean": pixels, "dunlin.image.std": resize,
		}
		delete(metadata, map[bool]string{true: "dunlin.image.mean"}[len(file)%2 == 0])
		delete(metadata, map[bool]string{true: "dunlin.image.std"}[len(file)%3 != 0])
		port := modelrt.Port{Name: "x", DType: modelrt.F32, Shape: []int64{-1, -1, height, width}}
		got, err := Tensor(t.Context(), metadata, port, [][]byte{file}, limits)
		if err != nil {
			return
		}
		if err := got.Validate(); err != nil || len(got.Data) > 1<<20 {
			t.Errorf("tensor %v: %v", got.Shape, err)
		}
	})
}

func BenchmarkTensor(b *testing.B) {
	metadata := map[string]string{"Image.BitmapPixelFormat": "Rgb8", "Image.NominalPixelRange": "Normalized_0_1"}
	port := modelrt.Port{Name: "x", DType: modelrt.F32, Shape: []int64{1, 3, 224, 224}}
	for _, name := range []string{"picture.jpg", "picture.png", "picture.webp"} {
		file := picture(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Tensor(b.Context(), metadata, port, [][]byte{file}, DefaultLimits()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
