package image

import (
	"fmt"
	"image"
	"math"

	"golang.org/x/image/draw"
)

// place says which part of a picture goes where in the model's frame.
type place struct {
	frame image.Point     // size of the model's input
	to    image.Rectangle // within the frame; the rest is padding
	from  image.Rectangle // within the picture, from (0,0)
}

// maxScalerPixels bounds the width of the result times the height of the
// picture: the scaler keeps 32 bytes for each of them, 256 MiB.
const maxScalerPixels = 8 << 20

// place decides for a picture of this size; width and height are the model's,
// below 1 where they are open.
func (s spec) place(size image.Point, width, height int64) (place, error) {
	w, h := int64(size.X), int64(size.Y)
	switch {
	case width < 1 && height < 1:
		width, height = w, h
	case width < 1:
		width = max(1, int64(math.Round(float64(w)*float64(height)/float64(h))))
	case height < 1:
		height = max(1, int64(math.Round(float64(h)*float64(width)/float64(w))))
	}
	if width > maxSide || height > maxSide {
		return place{}, fmt.Errorf("%w: %d x %d pixels would become %d x %d", ErrPicture, w, h, width, height)
	}
	p := place{frame: image.Pt(int(width), int(height)), from: image.Rectangle{Max: size}}
	p.to = image.Rectangle{Max: p.frame}
	if p.frame == size {
		return p, nil
	}
	// The factor of each side, if that side alone had to be right.
	fx, fy := float64(width)/float64(w), float64(height)/float64(h)
	scaled := func(f float64) image.Point {
		side := func(n int64, most int) int { return min(max(1, int(math.Round(float64(n)*f))), most) }
		return image.Pt(side(w, p.frame.X), side(h, p.frame.Y))
	}
	switch s.resize {
	case "none":
		return place{}, fmt.Errorf("%w: the model takes %d x %d pixels only, this has %d x %d", ErrPicture, width, height, w, h)
	case "fit":
		p.to = image.Rectangle{Max: scaled(min(fx, fy))}
	case "letterbox":
		in := scaled(min(fx, fy))
		at := p.frame.Sub(in).Div(2)
		p.to = image.Rectangle{Min: at, Max: at.Add(in)}
	case "crop":
		f := max(fx, fy)
		part := image.Pt(
			min(max(1, int(math.Round(float64(width)/f))), size.X),
			min(max(1, int(math.Round(float64(height)/f))), size.Y))
		at := size.Sub(part).Div(2)
		p.from = image.Rectangle{Min: at, Max: at.Add(part)}
	}
	if s.interpolation != "nearest" && s.interpolation != "linear" && p.to.Dx() > maxScalerPixels/p.from.Dy() {
		return place{}, fmt.Errorf("%w: %d x %d pixels are too many to resize to %d x %d", ErrPicture, w, h, width, height)
	}
	return p, nil
}

// scale returns the part of the picture as p places it, premultiplied.
func (s spec) scale(img image.Image, p place) *image.RGBA {
	out := image.NewRGBA(image.Rectangle{Max: p.to.Size()})
	from := p.from.Add(img.Bounds().Min)
	if p.to.Size() == p.from.Size() {
		draw.Copy(out, image.Point{}, img, from, draw.Src, nil)
		return out
	}
	var scaler draw.Scaler = draw.BiLinear
	switch s.interpolation {
	case "nearest":
		scaler = draw.NearestNeighbor
	case "linear":
		scaler = draw.ApproxBiLinear
	case "bicubic":
		scaler = draw.CatmullRom
	}
	scaler.Scale(out, out.Bounds(), img, from, draw.Src, nil)
	return out
}
