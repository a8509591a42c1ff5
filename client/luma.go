package client

import (
	"image"
	"image/color"
)

// samplesPerSide is how many pixels along each side of a cell are looked at, at
// most: the average of 64 has an eighth of the noise of one, and a frame costs
// the same whatever its size.
const samplesPerSide = 8

// luma appends the mean luma of each of n x n cells of a frame. Cells of a frame
// with fewer pixels than cells share pixels; one without pixels is black.
func luma(dst []byte, frame image.Image, n int) []byte {
	b := frame.Bounds()
	at := reader(frame)
	for row := range n {
		top, bottom := side(b.Min.Y, b.Dy(), row, n)
		for column := range n {
			left, right := side(b.Min.X, b.Dx(), column, n)
			var sum, count int
			for y := top; y < bottom; y += step(bottom - top) {
				for x := left; x < right; x += step(right - left) {
					sum, count = sum+int(at(x, y)), count+1
				}
			}
			dst = append(dst, byte(sum/max(count, 1)))
		}
	}
	return dst
}

// side returns where the i-th of n cells along a side begins and ends; it has
// at least one pixel, if the side has any.
func side(from, length, i, n int) (begin, end int) {
	begin = from + length*i/n
	return begin, min(max(from+length*(i+1)/n, begin+1), from+length)
}

func step(length int) int { return max(1, length/samplesPerSide) }

// reader returns how to read the luma of a pixel: directly, of the types that
// decoders and cameras give.
func reader(frame image.Image) func(x, y int) byte {
	switch m := frame.(type) {
	case *image.YCbCr:
		return func(x, y int) byte { return m.Y[m.YOffset(x, y)] }
	case *image.Gray:
		return func(x, y int) byte { return m.Pix[m.PixOffset(x, y)] }
	case *image.RGBA:
		return func(x, y int) byte { return ofRGB(m.Pix[m.PixOffset(x, y):]) }
	case *image.NRGBA:
		return func(x, y int) byte { return ofRGB(m.Pix[m.PixOffset(x, y):]) }
	}
	return func(x, y int) byte { return color.GrayModel.Convert(frame.At(x, y)).(color.Gray).Y }
}

// ofRGB is luma by ITU-R BT.601, with weights of 2^16.
func ofRGB(p []byte) byte {
	return byte((19595*uint32(p[0]) + 38470*uint32(p[1]) + 7471*uint32(p[2]) + 1<<15) >> 16)
}
