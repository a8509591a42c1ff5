package main

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// weights writes a NumPy file of 200,000 weights; every step moves all of them a
// little, as training does.
func weights(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: weights FILE SEED STEPS")
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	steps, err := strconv.Atoi(args[2])
	ts.Check(err)
	const n = 200_000
	head := "{'descr': '<f4', 'fortran_order': False, 'shape': (" + strconv.Itoa(n) + ",), }"
	head += strings.Repeat(" ", 63-(10+len(head))%64) + "\n"
	out := append([]byte("\x93NUMPY\x01\x00"), binary.LittleEndian.AppendUint16(nil, uint16(len(head)))...)
	out = append(out, head...)
	random := rand.New(rand.NewPCG(seed, 0))
	training := rand.New(rand.NewPCG(seed, 1))
	for range n {
		w := random.NormFloat64() / 16
		for range steps {
			w *= 1 + 1e-6*training.NormFloat64()
		}
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(w)))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o600))
}
