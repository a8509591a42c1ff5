package delta

import (
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/weights"
)

// Numbers of any size come back, whatever came before them.
func TestNumbers(t *testing.T) {
	check(t, 100, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Uint64()).Draw(t, "values")
		signed := rapid.SliceOf(rapid.Int64()).Draw(t, "signed")
		values = append(values, 0, 1, math.MaxUint64)
		signed = append(signed, 0, -1, math.MinInt64, math.MaxInt64)
		code := func(c *mix.Coder, decoding bool) {
			n := newNumbers()
			for i, v := range values {
				in := v
				if decoding {
					in = 0
				}
				if got := n.code(c, field(i)%fields, in); got != v {
					t.Fatalf("%d became %d", v, got)
				}
			}
			for i, v := range signed {
				in := v
				if decoding {
					in = 0
				}
				if got := n.signed(c, field(i)%fields, in); got != v {
					t.Fatalf("%d became %d", v, got)
				}
			}
		}
		c := mix.NewEncoder(nil)
		code(c, false)
		code(mix.NewDecoder(c.Finish()), true)
	})
}

const planOldBytes = 1 << 24

// drawOp draws a step that may follow steps ones that coded bytes.
func drawOp(t *rapid.T, steps int) op {
	kinds := []opKind{opCopy, opArray, opSparse, opPlanes, opText, opBlock, opBasis}
	if steps > 0 {
		kinds = append(kinds, opRepeat)
	}
	o := op{kind: rapid.SampledFrom(kinds).Draw(t, "kind"), from: -1}
	if o.kind == opRepeat {
		o.from = rapid.Int64Range(0, int64(steps-1)).Draw(t, "step")
		return o
	}
	o.class = rapid.SampledFrom([]codec.Class{codec.Int8, codec.F16, codec.BF16, codec.I16, codec.F32, codec.I32, codec.F64, codec.I64}).Draw(t, "class")
	o.size = rapid.Int64Range(1, 1<<16).Draw(t, "elements") * int64(o.class.Width())
	based := o.kind == opCopy || o.kind == opBasis || o.kind == opSparse || rapid.Bool().Draw(t, "based")
	if based {
		o.from = rapid.Int64Range(0, planOldBytes-o.size).Draw(t, "from")
	}
	if o.kind == opPlanes || o.kind == opBlock {
		o.side = rapid.Int64Range(0, maxPayload).Draw(t, "side")
	}
	if o.kind == opCopy || o.kind == opText || o.kind == opBlock {
		o.class = codec.Other
		return o
	}
	if based && (o.kind == opBasis || rapid.Bool().Draw(t, "transformed")) {
		o.basis = transform{
			kind: transformKind(rapid.IntRange(1, int(transforms)-1).Draw(t, "transform")),
			rows: rapid.IntRange(1, 1<<32).Draw(t, "rows"), cols: rapid.IntRange(1, 1<<10).Draw(t, "cols"), block: rapid.IntRange(1, 1<<10).Draw(t, "block"),
			first: rapid.IntRange(-1, maxTables).Draw(t, "first"), second: rapid.IntRange(-1, maxTables).Draw(t, "second"),
			oldClass: o.class, skip: rapid.Int64Range(0, 1<<40).Draw(t, "skip"),
		}
		if o.basis.kind == converted {
			o.basis.oldClass = codec.Class(rapid.IntRange(0, int(codec.I64)).Draw(t, "old class"))
		}
	}
	if o.kind != opArray && o.kind != opSparse {
		return o
	}
	if o.cols = rapid.IntRange(0, maxCols).Draw(t, "cols"); o.cols > 0 {
		o.start = rapid.IntRange(0, o.cols-1).Draw(t, "start")
	}
	o.params = weights.Params{
		Class: o.class, Cols: o.cols, Based: based, Level: rapid.IntRange(0, 255).Draw(t, "level"), Sparse: o.kind == opSparse,
	}
	o.params.Zeros = !o.params.Sparse && rapid.Bool().Draw(t, "zeros")
	if isFloat(o.class) {
		o.params.Top = rapid.IntRange(0, 0x7ff).Draw(t, "top")
	}
	if !based {
		o.params.Period = rapid.IntRange(0, weights.MaxPeriod).Draw(t, "period")
	}
	return o
}

// A plan of any steps comes back as it was.
func TestPlan(t *testing.T) {
	check(t, 100, func(t *rapid.T) {
		var ops []op
		steps := 0
		for range rapid.IntRange(0, 20).Draw(t, "ops") {
			o := drawOp(t, steps)
			if o.kind != opCopy && o.kind != opBasis && o.kind != opRepeat {
				steps++
			}
			ops = append(ops, o)
		}
		ops = append(ops, op{kind: opEnd})
		c, plan := mix.NewEncoder(nil), newPlanCoder(planOldBytes)
		for i := range ops {
			if err := plan.code(c, &ops[i]); err != nil {
				t.Fatal(err)
			}
		}
		c, plan = mix.NewDecoder(c.Finish()), newPlanCoder(planOldBytes)
		for i := range ops {
			var got op
			if err := plan.code(c, &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, ops[i]) {
				t.Fatalf("%+v became %+v", ops[i], got)
			}
		}
		if err := c.Err(); err != nil {
			t.Fatal(err)
		}
	})
}

// Steps that no encoder makes are refused.
func TestPlanRefuses(t *testing.T) {
	array := op{kind: opArray, size: 64, class: codec.F32, from: 0}
	with := func(change func(o *op)) op {
		o := array
		change(&o)
		return o
	}
	for name, o := range map[string]op{
		"unknown kind":            {kind: opKinds, size: 1},
		"old bytes past the end":  {kind: opCopy, size: 65, from: 64},
		"basis past the end":      with(func(o *op) { o.from = 65 }),
		"half an element":         with(func(o *op) { o.size = 65 }),
		"no class":                with(func(o *op) { o.class = codec.Other }),
		"unknown class":           with(func(o *op) { o.class = codec.I64 + 1 }),
		"rows too long":           with(func(o *op) { o.cols = maxCols + 1 }),
		"column past the row":     with(func(o *op) { o.cols, o.start = 4, 4 }),
		"exponent out of range":   with(func(o *op) { o.params.Top = 0x800 }),
		"few changes of nothing":  with(func(o *op) { o.kind, o.from = opSparse, -1 }),
		"level out of range":      with(func(o *op) { o.kind, o.params.Level = opSparse, 300 }),
		"unknown transform":       with(func(o *op) { o.basis.kind = transforms }),
		"matrix without rows":     with(func(o *op) { o.basis = transform{kind: permuted, cols: 1, block: 1} }),
		"transformed rows of GiB": with(func(o *op) { o.basis = transform{kind: permuted, rows: 1, cols: 1 << 30, block: 1} }),
		"basis that is none":      {kind: opBasis, size: 4, class: codec.F32, from: 0},
		"side bytes without end":  {kind: opBlock, size: 4, side: maxPayload + 1, from: 0},
		"repeats what is to come": {kind: opRepeat, from: 0},
		"step that is too long":   {kind: opCopy, size: maxOpBytes + 1, from: 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := mix.NewEncoder(nil)
			// The same code runs both ways, and so refuses to write it, too.
			err := newPlanCoder(128).code(c, &o)
			var got op
			other := newPlanCoder(128).code(mix.NewDecoder(c.Finish()), &got)
			if !isDelta(err) || !isDelta(other) {
				t.Errorf("encoding: %v; decoding: %v", err, other)
			}
		})
	}
}
