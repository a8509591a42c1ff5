// Package image makes a model's input of picture files, as the model's own
// metadata asks: decoded, resized, in the right order of channels and range.
//
//	t, err := image.Tensor(ctx, signature.Metadata, port, [][]byte{jpeg}, image.DefaultLimits())
//
// A client sends the files of JPEG, PNG or WebP as the elements of a BYTES
// tensor in place of the numbers; one file is one row of the first dimension.
//
// # The metadata
//
// The keys that begin with "Image." are ONNX's (docs/MetadataProps.md of
// onnx/onnx), the others are ours. Keys and values are case insensitive. A model
// without Image.BitmapPixelFormat takes no pictures.
//
//	Image.BitmapPixelFormat     Gray8, Rgb8, Bgr8, Rgba8 or Bgra8; required
//	Image.ColorSpaceGamma       SRGB (default), or Linear
//	Image.NominalPixelRange     NominalRange_0_255 (default), Normalized_0_1,
//	                            Normalized_1_1 or NominalRange_16_235
//	dunlin.image.mean           one number, or one per channel in the model's
//	                            order, taken off after the range; default 0
//	dunlin.image.std            the same, divided by then; default 1
//	dunlin.image.layout         NCHW or NHWC; default: where the port's shape
//	                            has the channels, NCHW if both fit
//	dunlin.image.resize         stretch (default), fit, letterbox, crop or none
//	dunlin.image.interpolation  bilinear (default), linear, bicubic or nearest
//	dunlin.image.pad            0 to 255, what fit and letterbox fill the rest
//	                            with, in the picture's range; default 0
//	dunlin.image.width, height  a size that the port leaves open
//
// Stretch gives the picture the size, whatever its ratio. Fit keeps the ratio
// and pads at the right and at the bottom, letterbox pads both sides; crop keeps
// the ratio, covers the size and cuts off both sides. None refuses every other
// size. A side that neither the port nor the metadata fixes follows the
// picture's ratio; if both are open, the picture keeps its size.
//
// Bilinear and bicubic widen their kernels when they make a picture smaller, as
// Pillow does. Linear looks at four pixels only, as OpenCV's INTER_LINEAR does.
//
// Transparent pictures are laid over black, save for the formats with alpha,
// whose alpha is straight. Gray is ITU-R BT.601 luma.
//
// # Bounds
//
// A picture's size is read before it is decoded, and refused over
// [Limits.MaxPixels]; pictures are decoded one at a time, and decoding ends with
// the context. The tensor's size is known before it is made.
//
// # Not promised
//
// The orientation in a JPEG's EXIF is ignored, as colour profiles are. Of an
// animation nothing is taken.
package image
