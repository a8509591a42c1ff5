package delta

import (
	"encoding/binary"
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/delta/derive"
)

// table is what transforms need beside the old bytes; it travels before the
// frames that use it. One of the fields is set.
type table struct {
	order      []uint32
	factors    *derive.Factors
	conversion *derive.Conversion
	gains      []int16 // in 4096ths, less one
	binary     int     // bytes of a conversion's binary form, once it was made or read
}

func (t *table) permutes(n int) bool { return len(t.order) == n }

// The kinds of tables. Values are part of the format.
const (
	tableOrder = iota
	tableFactors
	tableConversion
	tableGains
	tableKinds
)

const (
	// maxTables bounds the tables that are there at once, and maxTableBytes each
	// as it travels, unpacked.
	maxTables     = 1 << 10
	maxTableBytes = 8 << 20
	// maxTablesBytes bounds the tables that an encoder keeps there at once, but
	// for permutations, as they travel; maxTablesMemory those that a decoder
	// holds.
	maxTablesBytes  = 24 << 20
	maxTablesMemory = 32 << 20
)

// memory returns about how many bytes a table takes.
func (t *table) memory() int {
	n := 256 + 4*len(t.order) + 2*len(t.gains)
	if f := t.factors; f != nil {
		n += 8 * (len(f.U) + len(f.V))
	}
	return n + 8*t.binary // at most, says derive.ParseConversion
}

// fits says whether a table may be there beside those of a list.
func fits(list []*table, t *table) bool {
	n := t.memory()
	for _, other := range list {
		n += other.memory()
	}
	return n <= maxTablesMemory && len(list) < maxTables
}

// marshal returns the form in which a table travels: its kind, its sides, and
// its bytes as package codec has them.
func (t *table) marshal(coder *codec.Coder) ([]byte, error) {
	switch {
	case t.order != nil:
		to := binary.AppendUvarint([]byte{tableOrder}, uint64(len(t.order)))
		c := mix.NewEncoder(nil)
		if err := codeOrder(c, t.order); err != nil {
			return nil, err
		}
		return append(to, c.Finish()...), nil
	case t.factors != nil:
		to := []byte{tableFactors}
		to = binary.AppendUvarint(to, uint64(t.factors.Rows))
		to = binary.AppendUvarint(to, uint64(t.factors.Cols))
		return appendPacked(to, t.factors.AppendBinary(nil), coder)
	case t.conversion != nil:
		k := t.conversion
		to := []byte{tableConversion, byte(k.From), byte(k.To)}
		for _, n := range []int{k.Rows, k.Cols, k.Block} {
			to = binary.AppendUvarint(to, uint64(n))
		}
		raw := k.AppendBinary(nil)
		t.binary = len(raw)
		return appendPacked(to, raw, coder)
	}
	to := binary.AppendUvarint([]byte{tableGains}, uint64(len(t.gains)))
	raw := make([]byte, 0, 2*len(t.gains))
	for _, g := range t.gains {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(g))
	}
	return appendPacked(to, raw, coder)
}

// appendPacked appends the length of raw and its blocks.
func appendPacked(to, raw []byte, coder *codec.Coder) ([]byte, error) {
	to = binary.AppendUvarint(to, uint64(len(raw)))
	for at := 0; at < len(raw); at += planeBytes {
		frame, err := coder.Encode(nil, raw[at:min(at+planeBytes, len(raw))], nil, codec.Strong)
		if err != nil {
			return nil, err
		}
		to = appendBlock(to, frame)
	}
	return to, nil
}

// unpack is the inverse of appendPacked.
func unpack(in []byte, coder *codec.Coder) ([]byte, error) {
	length, in, err := number(in, maxTableBytes)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, length)
	f := frameCoder{planes: coder}
	for at := 0; at < len(raw); at += planeBytes {
		if in, err = f.decodeBlock(raw[at:min(at+planeBytes, len(raw))], in, nil); err != nil {
			return nil, err
		}
	}
	return raw, rest(in)
}

// number reads a uvarint from in, at most limit, and returns what follows.
func number(in []byte, limit uint64) (int, []byte, error) {
	v, n := binary.Uvarint(in)
	if n <= 0 || v > limit || n > 1 && in[n-1] == 0 {
		return 0, nil, fmt.Errorf("%w: bad number in a table", ErrDelta)
	}
	return int(v), in[n:], nil
}

// parseTable reads what append wrote.
func parseTable(in []byte, coder *codec.Coder) (*table, error) {
	if len(in) == 0 || in[0] >= tableKinds {
		return nil, fmt.Errorf("%w: table of no known kind", ErrDelta)
	}
	kind, in := in[0], in[1:]
	var classes [2]codec.Class
	if kind == tableConversion {
		if len(in) < 2 || codec.Class(in[0]) > codec.I64 || codec.Class(in[1]) > codec.I64 {
			return nil, fmt.Errorf("%w: conversion of no known class", ErrDelta)
		}
		classes, in = [2]codec.Class{codec.Class(in[0]), codec.Class(in[1])}, in[2:]
	}
	var sides [3]int
	var err error
	for i := range [tableKinds]int{1, 2, 3, 1}[kind] {
		if sides[i], in, err = number(in, 1<<32); err != nil {
			return nil, err
		}
	}
	if kind == tableOrder {
		if sides[0] < 1 || sides[0] > maxTableBytes/8 {
			return nil, fmt.Errorf("%w: permutation of %d", ErrDelta, sides[0])
		}
		c := mix.NewDecoder(in)
		order := make([]uint32, sides[0])
		if err := codeOrder(c, order); err != nil {
			return nil, err
		}
		return &table{order: order}, nil
	}
	raw, err := unpack(in, coder)
	if err != nil {
		return nil, err
	}
	switch kind {
	case tableFactors:
		f, err := derive.ParseFactors(raw, sides[0], sides[1])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDelta, err)
		}
		return &table{factors: &f}, nil
	case tableConversion:
		k, err := derive.ParseConversion(raw, classes[0], classes[1], sides[0], sides[1], sides[2])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDelta, err)
		}
		return &table{conversion: &k, binary: len(raw)}, nil
	}
	if len(raw) != 2*sides[0] {
		return nil, fmt.Errorf("%w: %d bytes of factors for %d rows", ErrDelta, len(raw), sides[0])
	}
	gains := make([]int16, sides[0])
	for i := range gains {
		gains[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	return &table{gains: gains}, nil
}
