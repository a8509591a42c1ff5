package runtime

import "fmt"

// DType names the type of a tensor's elements.
type DType string

// The element types that tensors can have. BF16 is the upper half of an
// IEEE 754 binary32; BOOL takes one byte, 0 or 1.
const (
	F32  DType = "f32"
	F64  DType = "f64"
	F16  DType = "f16"
	BF16 DType = "bf16"
	I8   DType = "i8"
	U8   DType = "u8"
	I16  DType = "i16"
	U16  DType = "u16"
	I32  DType = "i32"
	U32  DType = "u32"
	I64  DType = "i64"
	U64  DType = "u64"
	BOOL DType = "bool"
	// STRING appears in signatures only: no tensor can be made of it.
	STRING DType = "string"
)

// Size returns the bytes of one element, or 0 for a type that tensors cannot
// have (STRING, and every unknown name).
func (d DType) Size() int {
	switch d {
	case I8, U8, BOOL:
		return 1
	case F16, BF16, I16, U16:
		return 2
	case F32, I32, U32:
		return 4
	case F64, I64, U64:
		return 8
	}
	return 0
}

// check returns an error that wraps ErrTensor unless tensors can have d.
func (d DType) check() error {
	switch {
	case d == STRING:
		return fmt.Errorf("%w: strings are not supported, use numbers or bytes (u8)", ErrTensor)
	case d.Size() == 0:
		return fmt.Errorf("%w: unknown dtype %q (known: f32 f64 f16 bf16 i8 u8 i16 u16 i32 u32 i64 u64 bool)", ErrTensor, string(d))
	}
	return nil
}
