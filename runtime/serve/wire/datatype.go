package wire

import (
	"fmt"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// datatypes pairs the protocol's names with ours; BYTES is our STRING.
func datatypes() [14]struct {
	name  string
	dtype modelrt.DType
} {
	return [...]struct {
		name  string
		dtype modelrt.DType
	}{
		{"FP32", modelrt.F32},
		{"FP64", modelrt.F64},
		{"FP16", modelrt.F16},
		{"BF16", modelrt.BF16},
		{"INT8", modelrt.I8},
		{"UINT8", modelrt.U8},
		{"INT16", modelrt.I16},
		{"UINT16", modelrt.U16},
		{"INT32", modelrt.I32},
		{"UINT32", modelrt.U32},
		{"INT64", modelrt.I64},
		{"UINT64", modelrt.U64},
		{"BOOL", modelrt.BOOL},
		{"BYTES", modelrt.STRING},
	}
}

// Datatype returns the protocol's name of an element type, "" for one that is
// none of runtime's.
func Datatype(d modelrt.DType) string {
	for _, p := range datatypes() {
		if p.dtype == d {
			return p.name
		}
	}
	return ""
}

// ParseDatatype returns the element type of that name; BYTES is STRING. The
// error wraps [ErrMalformed].
func ParseDatatype(name string) (modelrt.DType, error) {
	for _, p := range datatypes() {
		if p.name == name {
			return p.dtype, nil
		}
	}
	return "", fmt.Errorf("%w: datatype %.40q is none of BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64, BYTES", ErrMalformed, name)
}

// Elements returns how many elements a tensor of this shape has. The error
// wraps [ErrMalformed] where a dimension is negative, there are too many, or
// the number does not fit.
func Elements(shape []int64) (int64, error) {
	n, err := modelrt.ByteSize(modelrt.U8, shape)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return n, nil
}
