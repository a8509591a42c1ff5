package image

import (
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"math"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Tensor returns the tensor that goes into port, made of the files of pictures,
// one per row, as the model's metadata asks. The port has three dimensions (one
// picture) or four, and elements of F32 or U8. Pictures of a port that leaves
// sizes open must all come to the same size. The files are only read. Errors
// wrap ErrSpec, or modelrt.ErrInput together with ErrPicture, or are ctx.Err().
func Tensor(ctx context.Context, metadata map[string]string, port modelrt.Port, files [][]byte, limits Limits) (modelrt.Tensor, error) {
	s, err := parseSpec(metadata)
	if err != nil {
		return modelrt.Tensor{}, fmt.Errorf("input %q: %w", port.Name, err)
	}
	shape, nchw, err := s.shape(port, len(files))
	if err != nil {
		return modelrt.Tensor{}, err
	}
	m := maker{spec: s, limits: limits, nchw: nchw, shape: shape, dtype: port.DType}
	height, width := m.sides()
	m.height, m.width = orElse(*height, s.height), orElse(*width, s.width)
	for i, file := range files {
		if err := m.add(ctx, i, file); err != nil {
			if ctx.Err() != nil {
				return modelrt.Tensor{}, ctx.Err()
			}
			return modelrt.Tensor{}, fmt.Errorf("%w: input %q, picture %d: %w", modelrt.ErrInput, port.Name, i, err)
		}
	}
	if len(port.Shape) == 3 {
		m.out.Shape = m.out.Shape[1:]
	}
	return m.out, nil
}

// shape returns the four sizes of the port for n pictures, with -1 where a side
// is open, and where its channels are.
func (s spec) shape(port modelrt.Port, n int) (shape []int64, nchw bool, err error) {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: input %q: %s", modelrt.ErrInput, port.Name, fmt.Sprintf(format, args...))
	}
	switch port.DType {
	case modelrt.F32:
	case modelrt.U8:
		if !s.plain() {
			return nil, false, fmt.Errorf("input %q: %w: it takes whole numbers, and the metadata makes fractions", port.Name, ErrSpec)
		}
	default:
		return nil, false, fail("pictures become f32 or u8, the model takes %s", port.DType)
	}
	switch rank := len(port.Shape); {
	case rank == 4:
		shape = append(shape, port.Shape...)
	case rank == 3 && n == 1:
		shape = append([]int64{1}, port.Shape...)
	case rank == 3:
		return nil, false, fail("it takes one picture, there are %d", n)
	default:
		return nil, false, fail("shape %v is not that of pictures", port.Shape)
	}
	if n < 1 || shape[0] >= 0 && shape[0] != int64(n) {
		return nil, false, fail("%d pictures do not fit shape %v", n, port.Shape)
	}
	shape[0] = int64(n)
	holds := func(at int) bool { return shape[at] < 0 || shape[at] == int64(len(s.channels)) }
	exact := func(at int) bool { return shape[at] == int64(len(s.channels)) }
	switch {
	case s.layout != "":
		nchw = s.layout == "nchw"
	default:
		nchw = exact(1) || !exact(3) && holds(1)
	}
	channel := 3
	if nchw {
		channel = 1
	}
	if !holds(channel) {
		return nil, false, fail("shape %v has no place for %d channels", port.Shape, len(s.channels))
	}
	return shape, nchw, nil
}

// maker makes one tensor, picture by picture.
type maker struct {
	spec   spec
	limits Limits
	nchw   bool
	shape  []int64 // of four sizes; -1 for open sides until the first picture
	dtype  modelrt.DType
	// Sides that the model or its metadata fixes, below 1 where they are open.
	height, width int64

	out    modelrt.Tensor
	tables [4][256]float32
	pads   [4]float32
}

// add decodes a picture into the i-th row. Its errors wrap ErrPicture.
func (m *maker) add(ctx context.Context, i int, file []byte) error {
	sides, format, err := size(file, m.limits)
	if err != nil {
		return err
	}
	p, err := m.spec.place(sides, m.width, m.height)
	if err != nil {
		return err
	}
	height, width := m.sides()
	if i == 0 {
		*height, *width = int64(p.frame.Y), int64(p.frame.X)
		if err := m.begin(); err != nil {
			return err
		}
	}
	if *height != int64(p.frame.Y) || *width != int64(p.frame.X) {
		return fmt.Errorf("%w: it comes to %d x %d pixels, the one before to %d x %d", ErrPicture, p.frame.X, p.frame.Y, *width, *height)
	}
	img, err := decode(ctx, file, sides, format)
	if err != nil {
		return err
	}
	m.fill(i, m.spec.scale(img, p), p)
	return nil
}

// sides returns where height and width stand in the shape.
func (m *maker) sides() (height, width *int64) {
	if m.nchw {
		return &m.shape[2], &m.shape[3]
	}
	return &m.shape[1], &m.shape[2]
}

func orElse(size, other int64) int64 {
	if size < 0 {
		return other
	}
	return size
}

// begin makes the tensor, once its shape is known.
func (m *maker) begin() error {
	m.shape[channelAt(m.nchw)] = int64(len(m.spec.channels))
	var err error
	if m.out, err = modelrt.NewTensor(m.dtype, m.shape, m.limits.MaxTensorBytes); err != nil {
		return fmt.Errorf("%w: %w", ErrPicture, err)
	}
	for c := range m.spec.channels {
		for v := range m.tables[c] {
			m.tables[c][v] = float32(m.spec.value(c, float64(v)))
		}
		m.pads[c] = float32(m.spec.value(c, m.spec.pad))
	}
	return nil
}

func channelAt(nchw bool) int {
	if nchw {
		return 1
	}
	return 3
}

// fill writes the pixels of one picture, and what pads it.
func (m *maker) fill(row int, img *image.RGBA, p place) {
	channels := len(m.spec.channels)
	plane := p.frame.X * p.frame.Y
	base := row * plane * channels
	for c, channel := range m.spec.channels {
		first, step := base+c, channels
		if m.nchw {
			first, step = base+c*plane, 1
		}
		for y := range p.frame.Y {
			at := first + y*p.frame.X*step
			inside := y >= p.to.Min.Y && y < p.to.Max.Y
			var pixels []byte
			if inside {
				pixels = img.Pix[(y-p.to.Min.Y)*img.Stride:]
			}
			for x := range p.frame.X {
				v := m.pads[c]
				if inside && x >= p.to.Min.X && x < p.to.Max.X {
					pixel := pixels[4*(x-p.to.Min.X):]
					v = m.tables[c][sample(pixel[:4:4], channel, channels == 4)]
				}
				m.put(at+x*step, v)
			}
		}
	}
}

// put writes one element.
func (m *maker) put(at int, v float32) {
	if m.dtype == modelrt.U8 {
		m.out.Data[at] = byte(math.Round(float64(v)))
		return
	}
	binary.LittleEndian.PutUint32(m.out.Data[4*at:], math.Float32bits(v))
}

// sample returns one channel of a premultiplied pixel; straight asks for what
// it was before.
func sample(pixel []byte, channel int, straight bool) byte {
	switch {
	case channel == gray: // ITU-R BT.601, weights of 2^16
		return byte((19595*uint32(pixel[0]) + 38470*uint32(pixel[1]) + 7471*uint32(pixel[2]) + 1<<15) >> 16)
	case straight && channel != 3 && pixel[3] != 0 && pixel[3] != 255:
		return byte(min(255, (uint32(pixel[channel])*255+uint32(pixel[3])/2)/uint32(pixel[3])))
	}
	return pixel[channel]
}
