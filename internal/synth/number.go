package synth

import (
	"encoding/binary"
	"math"
)

// array is a tensor as a file holds it.
type array struct {
	name  string
	dtype string // as safetensors calls it: F32 F16 BF16 I16 I8 I32 ...
	shape []int
	data  []byte
}

// arrays encodes tensors as f32, f16 or bf16, rounded to the nearest (ties to
// even).
func arrays(tensors []tensor, dtype string) []array {
	out := make([]array, 0, len(tensors))
	for i := range tensors {
		t := &tensors[i]
		var data []byte
		for _, v := range t.data {
			switch dtype {
			case "F32":
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
			case "F16":
				data = binary.LittleEndian.AppendUint16(data, half(v))
			default:
				data = binary.LittleEndian.AppendUint16(data, brain(v))
			}
		}
		out = append(out, array{name: t.name, dtype: dtype, shape: t.shape, data: data})
	}
	return out
}

// half returns the nearest binary16, or infinity beyond 65504.
func half(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	exp := int(bits>>23&0xff) - 127
	frac := bits & 0x7fffff
	switch {
	case exp == 128 && frac != 0:
		return sign | 0x7e00
	case exp > 15:
		return sign | 0x7c00
	case exp >= -14:
		return sign + uint16(nearest(uint32(exp+15)<<23|frac, 13)) // a carry is the next exponent
	case exp >= -25:
		return sign + uint16(nearest(frac|0x800000, uint(-1-exp))) // subnormal: units of 2^-24
	}
	return sign
}

// brain returns the nearest bfloat16 of a finite number.
func brain(f float32) uint16 { return uint16(nearest(math.Float32bits(f), 16)) }

// nearest drops n bits, rounding to the nearest, ties to even.
func nearest(v uint32, n uint) uint32 {
	return uint32((uint64(v) + 1<<(n-1) - 1 + uint64(v>>n&1)) >> n)
}

// quantize8 encodes matrices as int8 with one f32 scale for each output
// channel, in an array NAME.scale after each: the largest magnitude is 127.
// The channels are rows, or columns of tensors of rank 2 if inOut. Vectors
// stay f32.
func quantize8(tensors []tensor, inOut bool) []array {
	var out []array
	for i := range tensors {
		t := &tensors[i]
		if len(t.shape) < 2 {
			out = append(out, arrays(tensors[i:i+1], "F32")...)
			continue
		}
		rows, cols := t.rowsCols()
		channels, channel := rows, func(i int) int { return i / cols }
		if inOut && len(t.shape) == 2 {
			channels, channel = cols, func(i int) int { return i % cols }
		}
		peak := make([]float32, channels)
		for i, v := range t.data {
			peak[channel(i)] = max(peak[channel(i)], float32(math.Abs(float64(v))))
		}
		scale := tensor{name: t.name + ".scale", shape: []int{channels}, data: peak}
		for i := range peak {
			peak[i] /= 127
		}
		data := make([]byte, len(t.data))
		for i, v := range t.data {
			data[i] = byte(int8(quotient(v, peak[channel(i)], 127)))
		}
		out = append(out, array{name: t.name, dtype: "I8", shape: t.shape, data: data})
		out = append(out, arrays([]tensor{scale}, "F32")...)
	}
	return out
}

// quantize16 encodes all tensors as int16 with one scale each, which is in no
// file, as in nets whose engine knows it.
func quantize16(tensors []tensor) []array {
	var out []array
	for i := range tensors {
		t := &tensors[i]
		var peak float32
		for _, v := range t.data {
			peak = max(peak, float32(math.Abs(float64(v))))
		}
		var data []byte
		for _, v := range t.data {
			data = binary.LittleEndian.AppendUint16(data, uint16(int16(quotient(v, peak/32767, 32767))))
		}
		out = append(out, array{name: t.name, dtype: "I16", shape: t.shape, data: data})
	}
	return out
}

// quotient returns v/scale rounded to even and within ±limit; 0 for scale 0.
func quotient(v, scale float32, limit float64) float64 {
	if scale == 0 {
		return 0
	}
	return min(max(math.RoundToEven(float64(v)/float64(scale)), -limit), limit)
}

// quantizeQ8 encodes a matrix in GGML's blocks of 32: a binary16 scale and 32
// int8 (https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c,
// quantize_row_q8_0_ref). Its length must be a multiple of 32.
func quantizeQ8(data []float32) []byte {
	var out []byte
	for at := 0; at < len(data); at += 32 {
		block := data[at : at+32]
		var peak float32
		for _, v := range block {
			peak = max(peak, float32(math.Abs(float64(v))))
		}
		scale := peak / 127
		out = binary.LittleEndian.AppendUint16(out, half(scale))
		for _, v := range block {
			out = append(out, byte(int8(quotient(v, scale, 127))))
		}
	}
	return out
}

// fromBrain returns the number of a bfloat16.
func fromBrain(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }
