package runtime

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// allDTypes are those that tensors can have.
var allDTypes = []DType{F32, F64, F16, BF16, I8, U8, I16, U16, I32, U32, I64, U64, BOOL}

// anyTensor draws a small valid tensor.
func anyTensor(t *rapid.T) Tensor {
	dtype := rapid.SampledFrom(allDTypes).Draw(t, "dtype")
	shape := rapid.SliceOfN(rapid.Int64Range(0, 4), 0, 4).Draw(t, "shape")
	size, err := ByteSize(dtype, shape)
	if err != nil {
		t.Fatal(err)
	}
	element := rapid.Byte()
	if dtype == BOOL {
		element = rapid.ByteRange(0, 1)
	}
	data := rapid.SliceOfN(element, int(size), int(size)).Draw(t, "data")
	return Tensor{DType: dtype, Shape: shape, Data: data}
}

func equal(a, b Tensor) bool {
	return a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Data, b.Data)
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		t  Tensor
		ok bool
	}{
		"vector":                       {Tensor{F32, []int64{2}, make([]byte, 8)}, true},
		"scalar":                       {Tensor{I64, nil, make([]byte, 8)}, true},
		"empty":                        {Tensor{F16, []int64{3, 0}, nil}, true},
		"bools":                        {Tensor{BOOL, []int64{2}, []byte{0, 1}}, true},
		"bool that is neither":         {Tensor{BOOL, []int64{2}, []byte{0, 2}}, false},
		"too little data":              {Tensor{F32, []int64{2}, make([]byte, 7)}, false},
		"too much data":                {Tensor{F32, []int64{2}, make([]byte, 9)}, false},
		"negative":                     {Tensor{U8, []int64{-1, -1}, make([]byte, 1)}, false},
		"unknown type":                 {Tensor{"f8", []int64{1}, make([]byte, 1)}, false},
		"string":                       {Tensor{STRING, []int64{1}, make([]byte, 1)}, false},
		"product overflows to 0":       {Tensor{U8, []int64{1 << 32, 1 << 32}, nil}, false},
		"overflow, then zero":          {Tensor{U8, []int64{1 << 32, 1 << 32, 0}, nil}, false},
		"zero, then overflow":          {Tensor{U8, []int64{0, 1 << 32, 1 << 32}, nil}, false},
		"only times the size too much": {Tensor{F64, []int64{1 << 61}, nil}, false},
		"too many dimensions":          {Tensor{U8, slices.Repeat([]int64{1}, MaxRank+1), make([]byte, 1)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.t.Validate()
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrTensor) {
				t.Errorf("got %v, want ok %v", err, c.ok)
			}
		})
	}
}

func TestNewTensorIsBounded(t *testing.T) {
	if _, err := NewTensor(F32, []int64{1 << 40}, 1<<20); !errors.Is(err, ErrTensor) {
		t.Errorf("got %v, want ErrTensor", err)
	}
	got, err := NewTensor(F32, []int64{2, 3}, 24)
	if err != nil || got.Validate() != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestHalfFloatsConvertExactly(t *testing.T) {
	for bits := range 1 << 16 {
		h := uint16(bits)
		f16, bf16 := f16ToF32(h), bf16ToF32(h)
		if back := f64ToF16(float64(f16)); back != h && !math.IsNaN(float64(f16)) {
			t.Fatalf("f16 %#04x -> %v -> %#04x", h, f16, back)
		}
		if back := f64ToBF16(float64(bf16)); back != h && !math.IsNaN(float64(bf16)) {
			t.Fatalf("bf16 %#04x -> %v -> %#04x", h, bf16, back)
		}
	}
	for _, c := range []struct {
		v    float64
		f16  uint16
		bf16 uint16
	}{
		{1, 0x3c00, 0x3f80},
		{-2, 0xc000, 0xc000},
		{65504, 0x7bff, 0x4780},                // the largest f16
		{65519.99, 0x7bff, 0x4780},             // still rounds down
		{65520, 0x7c00, 0x4780},                // a tie: to even is infinity
		{0x1p-24, 0x0001, 0x3380},              // the smallest f16
		{0x1p-25, 0x0000, 0x3300},              // a tie: to even is 0
		{0x1.8p-24, 0x0002, 0x33c0},            // a tie: to even is 2
		{0x1.ffep-15, 0x0400, 0x3880},          // a subnormal that rounds up to a normal number
		{1 + 0x1p-8, 0x3c04, 0x3f80},           // a tie in bf16: to even
		{1 + 0x1.8p-7, 0x3c0c, 0x3f82},         // a tie in bf16: to even is up
		{1 + 0x1p-8 + 0x1p-40, 0x3c04, 0x3f81}, // just above the tie: wrong if rounded by way of f32
		{math.Inf(-1), 0xfc00, 0xff80},
		{3.4e38, 0x7c00, 0x7f80},
		{1e300, 0x7c00, 0x7f80},
		{-1e300, 0xfc00, 0xff80},
		{math.Copysign(0, -1), 0x8000, 0x8000},
	} {
		if got := f64ToF16(c.v); got != c.f16 {
			t.Errorf("f16(%v) = %#04x, want %#04x", c.v, got, c.f16)
		}
		if got := f64ToBF16(c.v); got != c.bf16 {
			t.Errorf("bf16(%v) = %#04x, want %#04x", c.v, got, c.bf16)
		}
	}
}

// sameNumbers is equal, but for the payloads of NaNs.
func sameNumbers(a, b Tensor) bool {
	ja, errA := json.Marshal(a)
	jb, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(ja, jb)
}

func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyTensor(t)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Tensor
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := got.Validate(); err != nil {
			t.Fatal(err)
		}
		if !sameNumbers(got, want) || !bytes.Contains(text, []byte("NaN")) && !equal(got, want) {
			t.Fatalf("%v came back as %v by way of %s", want, got, text)
		}
	})
}

func TestJSONForPeople(t *testing.T) {
	f32 := func(shape []int64, vs ...float32) Tensor {
		var b []byte
		for _, v := range vs {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		return Tensor{F32, shape, b}
	}
	for text, want := range map[string]Tensor{
		`{"dtype":"f32","shape":[1,2],"data":[0.5,-1]}`:               f32([]int64{1, 2}, 0.5, -1),
		`{"shape":[2,1,2],"data":[[[1,2]],[[3,4]]],"dtype":"f32"}`:    f32([]int64{2, 1, 2}, 1, 2, 3, 4),
		`{"dtype":"f32","shape":[],"data":[0.1]}`:                     f32([]int64{}, 0.1),
		`{"dtype":"f32","shape":[2],"data":["Infinity","-Infinity"]}`: f32([]int64{2}, float32(math.Inf(1)), float32(math.Inf(-1))),
		`{"dtype":"i64","shape":[1],"data":[-9223372036854775808]}`:   {I64, []int64{1}, []byte{7: 0x80}},
		`{"dtype":"u64","shape":[1],"data":[18446744073709551615]}`:   {U64, []int64{1}, bytes.Repeat([]byte{255}, 8)},
		`{"dtype":"bool","shape":[3],"data":[true,false,true]}`:       {BOOL, []int64{3}, []byte{1, 0, 1}},
		`{"dtype":"f16","shape":[1],"data":[1]}`:                      {F16, []int64{1}, []byte{0, 0x3c}},
		`{"dtype":"u8","shape":[2,0],"data":[[],[]]}`:                 {U8, []int64{2, 0}, []byte{}},
		`{"dtype":"u8","shape":[0],"data":[]}`:                        {U8, []int64{0}, []byte{}},
		`{"dtype":"i8","shape":[2,2],"data":[1,-2,3,-128]}`:           {I8, []int64{2, 2}, []byte{1, 0xfe, 3, 0x80}},
	} {
		var got Tensor
		if err := json.Unmarshal([]byte(text), &got); err != nil || !equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for name, text := range map[string]string{
		"unknown field":       `{"dtype":"u8","shape":[1],"data":[1],"name":"x"}`,
		"no shape":            `{"dtype":"u8","data":[1]}`,
		"no data":             `{"dtype":"u8","shape":[1]}`,
		"too few":             `{"dtype":"u8","shape":[2],"data":[1]}`,
		"too many":            `{"dtype":"u8","shape":[2],"data":[1,2,3]}`,
		"out of range":        `{"dtype":"u8","shape":[1],"data":[256]}`,
		"negative":            `{"dtype":"u8","shape":[1],"data":[-1]}`,
		"fraction":            `{"dtype":"i32","shape":[1],"data":[1.5]}`,
		"number as text":      `{"dtype":"f32","shape":[1],"data":["1"]}`,
		"too large for f16":   `{"dtype":"f16","shape":[1],"data":[70000]}`,
		"too large for f32":   `{"dtype":"f32","shape":[1],"data":[1e39]}`,
		"bool as number":      `{"dtype":"bool","shape":[1],"data":[1]}`,
		"null":                `{"dtype":"f32","shape":[1],"data":[null]}`,
		"data is no list":     `{"dtype":"f32","shape":[1],"data":1}`,
		"ragged":              `{"dtype":"u8","shape":[2,2],"data":[[1],[2,3,4]]}`,
		"nested too deep":     `{"dtype":"u8","shape":[2,1],"data":[[[1]],[[2]]]}`,
		"half nested":         `{"dtype":"u8","shape":[2,1],"data":[[1],2]}`,
		"flat, then nested":   `{"dtype":"u8","shape":[2,1],"data":[1,[2]]}`,
		"list in empty shape": `{"dtype":"u8","shape":[0,0],"data":[[]]}`,
		"string tensor":       `{"dtype":"string","shape":[1],"data":["x"]}`,
		"shape that lies":     `{"dtype":"u8","shape":[1099511627776],"data":[1]}`,
		"no object":           `[1]`,
	} {
		var got Tensor
		if err := json.Unmarshal([]byte(text), &got); !errors.Is(err, ErrTensor) && name != "no object" || err == nil {
			t.Errorf("%s: got %v, want ErrTensor", name, err)
		}
	}
}

func FuzzTensorJSON(f *testing.F) {
	f.Add([]byte(`{"dtype":"f32","shape":[1,2],"data":[0.5,"NaN"]}`))
	f.Add([]byte(`{"dtype":"bool","shape":[2,1],"data":[[true],[false]]}`))
	f.Add([]byte(`{"dtype":"u64","shape":[0,4611686018427387904],"data":[]}`))
	f.Add([]byte(`{"dtype":"bf16","shape":[1],"data":[3.3895313892515355e38]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var x Tensor
		if err := json.Unmarshal(text, &x); err != nil {
			return
		}
		if err := x.Validate(); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		out, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		var y Tensor
		if err := json.Unmarshal(out, &y); err != nil || !sameNumbers(x, y) {
			t.Fatalf("%s re-encodes as %s: %v", text, out, err)
		}
	})
}
