package chunker_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Every type with the bytes of 256 elements (of 512, divided by two), as
// gguf-py's GGML_QUANT_SIZES and ggml's own assertions have them.
func TestGGUFElementTypes(t *testing.T) {
	for number, want := range map[uint32]struct {
		dtype manifest.DType
		bytes int
	}{
		0: {"f32", 1024}, 1: {"f16", 512}, 30: {"bf16", 512}, 28: {"f64", 2048},
		24: {"i8", 256}, 25: {"i16", 512}, 26: {"i32", 1024}, 27: {"i64", 2048},
		2: {"gguf:Q4_0", 8 * 18}, 3: {"gguf:Q4_1", 8 * 20}, 6: {"gguf:Q5_0", 8 * 22}, 7: {"gguf:Q5_1", 8 * 24},
		8: {"gguf:Q8_0", 8 * 34}, 9: {"gguf:Q8_1", 8 * 36}, 10: {"gguf:Q2_K", 84}, 11: {"gguf:Q3_K", 110},
		12: {"gguf:Q4_K", 144}, 13: {"gguf:Q5_K", 176}, 14: {"gguf:Q6_K", 210}, 15: {"gguf:Q8_K", 292},
		16: {"gguf:IQ2_XXS", 66}, 17: {"gguf:IQ2_XS", 74}, 18: {"gguf:IQ3_XXS", 98}, 19: {"gguf:IQ1_S", 50},
		20: {"gguf:IQ4_NL", 8 * 18}, 21: {"gguf:IQ3_S", 110}, 22: {"gguf:IQ2_S", 82}, 23: {"gguf:IQ4_XS", 136},
		29: {"gguf:IQ1_M", 56}, 34: {"gguf:TQ1_0", 54}, 35: {"gguf:TQ2_0", 66}, 39: {"gguf:MXFP4", 8 * 17},
		40: {"gguf:NVFP4", 4 * 36}, 41: {"gguf:Q1_0", 2 * 18}, 42: {"gguf:Q2_0", 4 * 18},
	} {
		var g ggufFile
		g.info("x", number, 0, 256, 2)
		data := g.file(3, 2*want.bytes)
		l := layout(t, data, "m.gguf")
		if len(l.Tensors) != 1 || l.Tensors[0].DType != want.dtype || l.Tensors[0].Length != uint64(2*want.bytes) {
			t.Errorf("type %d: %+v, want %s in %d bytes", number, l.Tensors, want.dtype, 2*want.bytes)
		}
		malformed(t, g.file(3, 2*want.bytes-1), "m.gguf", "gguf", `tensor "x" says [2 256] elements of `+string(want.dtype))
	}
}

func TestGGUF(t *testing.T) {
	g := ggufFile{alignment: 8}
	array := binary.LittleEndian.AppendUint64([]byte{8, 0, 0, 0}, 2)
	array = ggufString(ggufString(array, "<s>"), "</s>")
	nested := binary.LittleEndian.AppendUint64([]byte{9, 0, 0, 0}, 1)
	nested = append(binary.LittleEndian.AppendUint64(append(nested, 4, 0, 0, 0), 2), make([]byte, 8)...)
	for kind, size := range map[uint32]int{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8} {
		g.pair("scalar", kind, make([]byte, size))
	}
	g.pair("general.name", 8, ggufString(nil, "test"))
	g.pair("tokens", 9, array)
	g.pair("nested", 9, nested)
	g.pair("general.alignment", 4, []byte{8, 0, 0, 0})
	g.info("later", 0, 40, 2)
	g.info("new type", 77, 8, 3, 4)
	g.info("scalar", 24, 0)
	g.info("empty", 0, 0, 0)
	for _, version := range []uint32{2, 3} {
		data := g.file(version, 48)
		checkTensors(t, data, layout(t, data, "m.gguf"),
			"scalar i8 [] 1:07",
			"new type gguf:77 [4 3] 32:070707070707070707070707",
			"later f32 [2] 8:0707070707070707")
	}
	// Version 1 has other widths, and a big-endian file looks like 3·2^24.
	for _, version := range []uint32{0, 1, 4, 3 << 24} {
		if l := layout(t, g.file(version, 48), "m.gguf"); l.Format != "bytes" {
			t.Errorf("version %d: format %q, want bytes", version, l.Format)
		}
	}
}

func TestGGUFLies(t *testing.T) {
	u64 := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
	array := func(kind uint32, count uint64) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, kind), u64(count)...)
	}
	deep := []byte{}
	for range 1000 {
		deep = append(deep, array(9, 1)...)
	}
	for _, c := range []struct {
		want string
		make func(g *ggufFile)
	}{
		{"metadata pairs in", func(g *ggufFile) { g.pairCount = math.MaxUint64 }},
		{"tensors in", func(g *ggufFile) { g.infoCount = math.MaxUint64 }},
		{"metadata string of 18446744073709551615 bytes", func(g *ggufFile) { g.pair("k", 8, u64(math.MaxUint64)) }},
		{"array of 18446744073709551615 values of type 10", func(g *ggufFile) { g.pair("k", 9, array(10, math.MaxUint64)) }},
		{"array of 4611686018427387904 values of type 8", func(g *ggufFile) { g.pair("k", 9, array(8, 1<<62)) }},
		{"arrays nest more than 4 deep", func(g *ggufFile) { g.pair("k", 9, deep) }},
		{"metadata value of unknown type 13", func(g *ggufFile) { g.pair("k", 13, u64(0)) }},
		{"metadata value of unknown type 99", func(g *ggufFile) { g.pair("k", 9, array(99, 1)) }},
		{"alignment 0 of type 4", func(g *ggufFile) { g.pair("general.alignment", 4, make([]byte, 4)) }},
		{"alignment 33 of type 4", func(g *ggufFile) { g.pair("general.alignment", 4, []byte{33, 0, 0, 0}) }},
		{"of type 10 is no power of two", func(g *ggufFile) { g.pair("general.alignment", 10, u64(32)) }},
		{`tensor "x" has 5 dimensions`, func(g *ggufFile) { g.info("x", 0, 0, 1, 1, 1, 1, 1) }},
		{"more elements than fit 64 bits", func(g *ggufFile) { g.info("x", 0, 0, 1<<40, 1<<40) }},
		{"are no whole blocks of f32, or too many", func(g *ggufFile) { g.info("x", 0, 0, 1<<50) }},
		{"are no whole blocks of gguf:Q4_0", func(g *ggufFile) { g.info("x", 2, 0, 33) }},
		{"at offset 33, which is no multiple of 32", func(g *ggufFile) { g.info("x", 0, 33, 1) }},
		{"begins at byte 9223372036854775808 of the data", func(g *ggufFile) { g.info("x", 0, 1<<63, 1) }},
		{`tensor "y", bytes 128+64, overlaps "x", bytes 96+64`, func(g *ggufFile) { g.info("x", 0, 0, 16); g.info("y", 0, 32, 16) }},
		{"of gguf:77 has no bytes", func(g *ggufFile) { g.info("x", 77, 0, 16); g.info("y", 77, 0, 16) }},
	} {
		var g ggufFile
		c.make(&g)
		malformed(t, g.file(3, 128), "m.gguf", "gguf", c.want)
	}
}

// A table that names the same bytes a million times is refused in little
// memory, though all of it has to be read.
func TestGGUFManyTensors(t *testing.T) {
	var g ggufFile
	g.info("x", 0, 0, 1)
	one := g.infos
	g.infos = bytes.Repeat(one, 100_000)
	g.infoCount = 100_000
	checkMalformed(t, bounded(t, 64<<20, g.file(3, 128), "m.gguf"), "m.gguf", "gguf", int64(len(g.infos))+200, "overlaps")
}
