package chunker

import (
	"math/bits"
	"strconv"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// ggmlType is one of ggml's element types: bytes for each block of elements.
type ggmlType struct {
	dtype    manifest.DType
	elements uint64
	bytes    uint64
}

// ggmlTypes are enum ggml_type and the sizes of its blocks
// (https://github.com/ggml-org/ggml/blob/master/include/ggml.h and
// src/ggml-common.h). Numbers that are missing have been removed or are not
// written to files.
var ggmlTypes = map[uint32]ggmlType{
	0:  {"f32", 1, 4},
	1:  {"f16", 1, 2},
	2:  {"gguf:Q4_0", 32, 2 + 16},
	3:  {"gguf:Q4_1", 32, 2 + 2 + 16},
	6:  {"gguf:Q5_0", 32, 2 + 4 + 16},
	7:  {"gguf:Q5_1", 32, 2 + 2 + 4 + 16},
	8:  {"gguf:Q8_0", 32, 2 + 32},
	9:  {"gguf:Q8_1", 32, 2 + 2 + 32},
	10: {"gguf:Q2_K", 256, 16 + 64 + 2 + 2},
	11: {"gguf:Q3_K", 256, 32 + 64 + 12 + 2},
	12: {"gguf:Q4_K", 256, 2 + 2 + 12 + 128},
	13: {"gguf:Q5_K", 256, 2 + 2 + 12 + 32 + 128},
	14: {"gguf:Q6_K", 256, 128 + 64 + 16 + 2},
	15: {"gguf:Q8_K", 256, 4 + 256 + 32},
	16: {"gguf:IQ2_XXS", 256, 2 + 64},
	17: {"gguf:IQ2_XS", 256, 2 + 64 + 8},
	18: {"gguf:IQ3_XXS", 256, 2 + 96},
	19: {"gguf:IQ1_S", 256, 2 + 32 + 16},
	20: {"gguf:IQ4_NL", 32, 2 + 16},
	21: {"gguf:IQ3_S", 256, 2 + 64 + 8 + 32 + 4},
	22: {"gguf:IQ2_S", 256, 2 + 64 + 8 + 8},
	23: {"gguf:IQ4_XS", 256, 2 + 2 + 4 + 128},
	24: {"i8", 1, 1},
	25: {"i16", 1, 2},
	26: {"i32", 1, 4},
	27: {"i64", 1, 8},
	28: {"f64", 1, 8},
	29: {"gguf:IQ1_M", 256, 32 + 16 + 8},
	30: {"bf16", 1, 2},
	34: {"gguf:TQ1_0", 256, 2 + 48 + 4},
	35: {"gguf:TQ2_0", 256, 2 + 64},
	39: {"gguf:MXFP4", 32, 1 + 16},
	40: {"gguf:NVFP4", 64, 4 + 32},
	41: {"gguf:Q1_0", 128, 2 + 16},
	42: {"gguf:Q2_0", 64, 2 + 16},
}

// unknownGGML names a type that this table lacks; its length is unknown.
func unknownGGML(number uint32) manifest.DType {
	return manifest.DType("gguf:" + strconv.FormatUint(uint64(number), 10))
}

// length returns the bytes of a tensor of elements in rows of row elements,
// which must be whole blocks.
func (t ggmlType) length(elements, row uint64) (n uint64, ok bool) {
	if row%t.elements != 0 {
		return 0, false
	}
	hi, lo := bits.Mul64(elements/t.elements, t.bytes)
	return lo, hi == 0 && lo <= manifest.MaxFileBytes
}
