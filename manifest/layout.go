package manifest

import (
	"fmt"
	"math/bits"
)

// Bounds of a layout.
const (
	LayoutSchema    = 1
	MaxTensors      = 1 << 15
	MaxRank         = 16
	MaxTensorName   = 512
	MinChunkBytes   = 64 << 10 // smallest Layout.Chunk of a file that is larger
	MaxChunkBytes   = 1 << 20  // no chunk is longer
	MaxChunksInFile = MaxFileBytes / MinChunkBytes
)

// Layout says where a file's tensors lie, and so where its chunks begin. It is
// a block of its own: a retrained model of unchanged architecture keeps its
// layout's CID, and so pays nothing for it on the wire.
type Layout struct {
	// Schema is 1.
	Schema int `cbor:"schema" json:"schema"`
	// Format is what the chunker took the file for: "onnx", "safetensors",
	// "onnx-data" (tensors of a model beside it), "gguf", "tflite", "npy",
	// "npz", "zip", "array" (headerless, by hint) or "bytes".
	Format string `cbor:"format" json:"format"`
	// Size is the file's length in bytes.
	Size uint64 `cbor:"size" json:"size"`
	// Tensors in order of offset, not overlapping, inside the file.
	Tensors []Tensor `cbor:"tensors,omitempty" json:"tensors,omitempty"`
	// Chunk is the least length of a chunk in bytes, a power of two from 64 KiB
	// to 256 KiB; see [Layout.Chunks].
	Chunk uint32 `cbor:"chunk" json:"chunk"`
	// Cuts, where the file was cut by content, are the lengths of the chunks,
	// which sum up to Size; empty where tensors say where to cut.
	Cuts []uint32 `cbor:"cuts,omitempty" json:"cuts,omitempty"`
}

// Tensor is a named run of elements in a file.
type Tensor struct {
	_      struct{} `cbor:",toarray"`
	Name   string   `json:"name"`  // at most 512 bytes, need not be unique
	DType  DType    `json:"dtype"` // element type
	Shape  []uint64 `json:"shape"` // row-major, slowest first; at most 16; for DType bytes the length or empty
	Offset uint64   `json:"offset"`
	Length uint64   `json:"length"` // in bytes, at least 1
}

// DType is the type of a tensor's elements: "f64 f32 f16 bf16 f8e4m3 f8e5m2
// i64 u64 i32 u32 i16 u16 i8 u8 i4 u4 bool c64 c128", "bytes" for anything
// that is not an array of numbers, or "gguf:NAME" for GGUF's block types.
type DType string

// Bytes stands for a run of bytes that is not an array of numbers.
const Bytes DType = "bytes"

// Bits returns the size of one element in bits: 4 to 128 for the plain types,
// 0 for bytes and block types.
func (d DType) Bits() uint64 {
	switch d {
	case "i4", "u4":
		return 4
	case "i8", "u8", "bool", "f8e4m3", "f8e5m2":
		return 8
	case "f16", "bf16", "i16", "u16":
		return 16
	case "f32", "i32", "u32":
		return 32
	case "f64", "i64", "u64", "c64":
		return 64
	case "c128":
		return 128
	}
	return 0
}

// Elements returns the product of shape, false if it does not fit 64 bits.
func Elements(shape []uint64) (uint64, bool) {
	n := uint64(1)
	for _, dim := range shape {
		hi, lo := bits.Mul64(n, dim)
		if hi != 0 {
			return 0, false
		}
		n = lo
	}
	return n, true
}

// Validate checks bounds, order and that plain tensors are as long as their
// shape says.
func (l *Layout) Validate() error {
	if l.Schema != LayoutSchema {
		return fmt.Errorf("layout schema %d, this node knows %d: update dunlin", l.Schema, LayoutSchema)
	}
	if l.Format == "" || len(l.Format) > MaxNameBytes {
		return fmt.Errorf("layout format of %d bytes, want 1 to %d", len(l.Format), MaxNameBytes)
	}
	if l.Size > MaxFileBytes {
		return fmt.Errorf("file of %d bytes, at most %d", l.Size, int64(MaxFileBytes))
	}
	if l.Chunk < MinChunkBytes || l.Chunk > MaxChunkBytes/4 || l.Chunk&(l.Chunk-1) != 0 {
		return fmt.Errorf("chunk length %d is no power of two from %d to %d", l.Chunk, MinChunkBytes, MaxChunkBytes/4)
	}
	if len(l.Tensors) > MaxTensors {
		return fmt.Errorf("%d tensors, at most %d", len(l.Tensors), MaxTensors)
	}
	var end uint64
	for i := range l.Tensors {
		t := &l.Tensors[i]
		if err := t.validate(); err != nil {
			return fmt.Errorf("tensor %d %.80q: %w", i, t.Name, err)
		}
		if t.Offset < end || t.Offset > l.Size || t.Length > l.Size-t.Offset {
			return fmt.Errorf("tensor %d %.80q: bytes %d+%d overlap the one before or leave the file of %d", i, t.Name, t.Offset, t.Length, l.Size)
		}
		end = t.Offset + t.Length
	}
	return l.validateCuts()
}

func (l *Layout) validateCuts() error {
	if len(l.Cuts) == 0 {
		return nil
	}
	var sum uint64
	for i, n := range l.Cuts {
		last := i == len(l.Cuts)-1
		if n == 0 || n > MaxChunkBytes || (!last && n < l.Chunk) {
			return fmt.Errorf("cut %d of %d bytes, want %d to %d", i, n, l.Chunk, MaxChunkBytes)
		}
		sum += uint64(n)
	}
	if sum != l.Size {
		return fmt.Errorf("cuts sum up to %d bytes, the file has %d", sum, l.Size)
	}
	return nil
}

func (t *Tensor) validate() error {
	if len(t.Name) > MaxTensorName {
		return fmt.Errorf("name of %d bytes, at most %d", len(t.Name), MaxTensorName)
	}
	if t.DType == "" || len(t.DType) > 32 {
		return fmt.Errorf("dtype %.40q", string(t.DType))
	}
	if len(t.Shape) > MaxRank {
		return fmt.Errorf("rank %d, at most %d", len(t.Shape), MaxRank)
	}
	if t.Length == 0 {
		return fmt.Errorf("no bytes")
	}
	n, ok := Elements(t.Shape)
	if !ok {
		return fmt.Errorf("shape %d has more elements than fit", t.Shape)
	}
	if width := t.DType.Bits(); width != 0 {
		hi, lo := bits.Mul64(n, width)
		if hi != 0 || lo > 8*MaxFileBytes || (lo+7)/8 != t.Length {
			return fmt.Errorf("%d bytes for shape %d of %s", t.Length, t.Shape, t.DType)
		}
	}
	return nil
}
