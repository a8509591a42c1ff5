package runtime

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// UnmarshalJSON reads what MarshalJSON writes. The data may also be nested as
// the shape says, as NumPy's tolist gives it. It is strict: the three fields
// and no others, numbers that the type can hold (floats are rounded to the
// nearest), and exactly as many as the shape asks for. Errors wrap ErrTensor.
func (t *Tensor) UnmarshalJSON(text []byte) error {
	var head struct {
		DType DType           `json:"dtype"`
		Shape []int64         `json:"shape"`
		Data  json.RawMessage `json:"data"`
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&head); err != nil {
		return fmt.Errorf("%w: %w", ErrTensor, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows it", ErrTensor)
	}
	if head.Shape == nil || head.Data == nil {
		return fmt.Errorf(`%w: it needs "dtype", "shape" and "data"`, ErrTensor)
	}
	size, err := ByteSize(head.DType, head.Shape)
	if err != nil {
		return err
	}
	// Every element takes at least one byte of text, and a comma or bracket.
	if size/int64(head.DType.Size()) > int64(len(head.Data)) {
		return fmt.Errorf("%w: shape %v asks for more elements than there are", ErrTensor, head.Shape)
	}
	r := elementReader{dec: json.NewDecoder(bytes.NewReader(head.Data)), dtype: head.DType, want: size}
	r.dec.UseNumber()
	r.out = make([]byte, 0, size)
	if err := r.read(head.Shape); err != nil {
		return fmt.Errorf("%w: data: %w", ErrTensor, err)
	}
	*t = Tensor{DType: head.DType, Shape: head.Shape, Data: r.out}
	return nil
}

// elementReader reads the elements of one tensor, flat or nested.
type elementReader struct {
	dec   *json.Decoder
	dtype DType
	want  int64 // bytes
	out   []byte
}

// read reads the whole array.
func (r *elementReader) read(shape []int64) error {
	if err := r.open(); err != nil {
		return err
	}
	tok, err := r.dec.Token()
	if err != nil {
		return err
	}
	if tok == json.Delim('[') && len(shape) > 1 {
		return r.nested(shape)
	}
	// Flat: elements until the bracket.
	for ; tok != json.Delim(']'); tok, err = r.dec.Token() {
		if err != nil {
			return err
		}
		if err := r.element(tok); err != nil {
			return err
		}
	}
	if int64(len(r.out)) != r.want {
		return fmt.Errorf("%d elements, shape %v asks for %d", len(r.out)/r.dtype.Size(), shape, r.want/int64(r.dtype.Size()))
	}
	return nil
}

func (r *elementReader) open() error {
	if tok, err := r.dec.Token(); err != nil {
		return err
	} else if tok != json.Delim('[') {
		return fmt.Errorf("%v where a list should begin", tok)
	}
	return nil
}

// nested reads the rest of the data, of which the outer bracket and that of the
// first list have been read.
func (r *elementReader) nested(shape []int64) error {
	if shape[0] == 0 {
		return fmt.Errorf("a list where shape %v has none", shape)
	}
	if err := r.list(shape[1:]); err != nil {
		return err
	}
	for range shape[0] - 1 {
		if err := r.open(); err != nil {
			return err
		}
		if err := r.list(shape[1:]); err != nil {
			return err
		}
	}
	return r.close()
}

// list reads a list of this shape whose bracket has been opened.
func (r *elementReader) list(shape []int64) error {
	for range shape[0] {
		if len(shape) > 1 {
			if err := r.open(); err != nil {
				return err
			}
			if err := r.list(shape[1:]); err != nil {
				return err
			}
			continue
		}
		tok, err := r.dec.Token()
		if err != nil {
			return err
		}
		if err := r.element(tok); err != nil {
			return err
		}
	}
	return r.close()
}

func (r *elementReader) close() error {
	if tok, err := r.dec.Token(); err != nil {
		return err
	} else if tok != json.Delim(']') {
		return fmt.Errorf("%v where a list should end", tok)
	}
	return nil
}

// element appends the little-endian form of one element.
func (r *elementReader) element(tok json.Token) error {
	size := r.dtype.Size()
	if int64(len(r.out)+size) > r.want {
		return fmt.Errorf("more than the %d elements that the shape asks for", r.want/int64(size))
	}
	bits, err := elementBits(r.dtype, tok)
	if err != nil {
		return fmt.Errorf("element %d: %w", len(r.out)/size, err)
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], bits)
	r.out = append(r.out, b[:size]...)
	return nil
}

// elementBits returns the element's bits in the lower bytes.
func elementBits(d DType, tok json.Token) (uint64, error) {
	wrong := fmt.Errorf("%v is no %s", tok, d)
	if d == BOOL {
		v, ok := tok.(bool)
		switch {
		case !ok:
			return 0, wrong
		case v:
			return 1, nil
		}
		return 0, nil
	}
	var text string
	switch tok := tok.(type) {
	case json.Number:
		text = string(tok)
	case string:
		if !slices.Contains([]string{"NaN", "Infinity", "-Infinity"}, tok) {
			return 0, wrong
		}
		text = tok
	default:
		return 0, wrong
	}
	bits := d.Size() * 8
	switch d {
	case F32, F64, F16, BF16:
		parseBits := 64
		if d == F32 {
			parseBits = 32
		}
		v, err := strconv.ParseFloat(text, parseBits)
		if err != nil {
			return 0, wrong
		}
		return floatBits(d, v, text)
	case U8, U16, U32, U64:
		v, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			return 0, wrong
		}
		return v, nil
	}
	v, err := strconv.ParseInt(text, 10, bits)
	if err != nil {
		return 0, wrong
	}
	return uint64(v), nil
}

// floatBits rounds v, which text stands for; a number must not become infinite.
func floatBits(d DType, v float64, text string) (uint64, error) {
	switch d {
	case F64:
		return math.Float64bits(v), nil
	case F32:
		return uint64(math.Float32bits(float32(v))), nil
	}
	var bits uint16
	var back float32
	if d == F16 {
		bits = f64ToF16(v)
		back = f16ToF32(bits)
	} else {
		bits = f64ToBF16(v)
		back = bf16ToF32(bits)
	}
	if math.IsInf(float64(back), 0) && !math.IsInf(v, 0) {
		return 0, fmt.Errorf("%s is too large for %s", text, d)
	}
	return uint64(bits), nil
}
