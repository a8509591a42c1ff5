package image

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/webp"
)

// Limits bound what pictures may cost.
type Limits struct {
	// MaxPixels is the largest product of a picture's sides; decoding takes up to
	// 16 bytes for each. Default 2^24, a picture of 4096 x 4096.
	MaxPixels int64
	// MaxTensorBytes is the largest tensor that is made. Default 256 MiB.
	MaxTensorBytes int64
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits { return Limits{MaxPixels: 1 << 24, MaxTensorBytes: 256 << 20} }

type format struct {
	magic  string // '?' stands for any byte
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

func formats() [3]format {
	return [...]format{
		{"\xff\xd8\xff", jpeg.DecodeConfig, jpeg.Decode},
		{"\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode},
		{"RIFF????WEBP", webp.DecodeConfig, decodeWebP},
	}
}

// decodeWebP decodes WebP. Its lossy kind, VP8, stores luma as 16 to 235 and
// chroma as 16 to 240 (RFC 6386, section 9.2), which package webp hands over as
// they are, in a type that means JPEG's full range: so they are stretched.
func decodeWebP(r io.Reader) (image.Image, error) {
	img, err := webp.Decode(r)
	if err != nil {
		return nil, err
	}
	switch img := img.(type) {
	case *image.YCbCr:
		stretch(img)
	case *image.NYCbCrA:
		stretch(&img.YCbCr)
	}
	return img, nil
}

// stretch makes the narrow ranges of video those of JPEG.
func stretch(img *image.YCbCr) {
	var luma, chroma [256]byte
	for v := range 256 {
		luma[v] = clamped(float64(v-16) * 255 / 219)
		chroma[v] = clamped(float64(v-128)*255/224 + 128)
	}
	for i, v := range img.Y {
		img.Y[i] = luma[v]
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = chroma[img.Cb[i]], chroma[img.Cr[i]]
	}
}

func clamped(v float64) byte { return byte(math.Round(min(max(v, 0), 255))) }

// size returns the sides of the picture in file, which are within limits, and
// how to decode it. Errors wrap ErrPicture.
func size(file []byte, limits Limits) (image.Point, format, error) {
	for _, f := range formats() {
		if !matches(f.magic, file) {
			continue
		}
		c, err := f.config(bytes.NewReader(file))
		if err != nil {
			return image.Point{}, f, fmt.Errorf("%w: %w", ErrPicture, err)
		}
		if c.Width < 1 || c.Height < 1 || int64(c.Width) > limits.MaxPixels/int64(c.Height) {
			return image.Point{}, f, fmt.Errorf("%w: it has %d x %d pixels, at most %d are allowed in all", ErrPicture, c.Width, c.Height, limits.MaxPixels)
		}
		return image.Pt(c.Width, c.Height), f, nil
	}
	return image.Point{}, format{}, fmt.Errorf("%w: it is no JPEG, PNG or WebP", ErrPicture)
}

// decode decodes a picture that size has seen; it ends with ctx. Errors wrap
// ErrPicture or are ctx.Err().
func decode(ctx context.Context, file []byte, want image.Point, f format) (image.Image, error) {
	img, err := f.decode(&reader{ctx, bytes.NewReader(file)})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPicture, err)
	}
	if img.Bounds().Size() != want {
		return nil, fmt.Errorf("%w: it is %v in its header and %v inside", ErrPicture, want, img.Bounds().Size())
	}
	return img, nil
}

// reader fails once its context has ended, and so ends the decoder that reads.
type reader struct {
	ctx  context.Context //nolint:containedctx // lives as long as one call
	from io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

func matches(magic string, file []byte) bool {
	if len(file) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != file[i] {
			return false
		}
	}
	return true
}
