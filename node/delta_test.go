package node

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/internal/raced"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/store"
	"github.com/dunlin-mesh/dunlin/transfer"
)

// trained returns weights as float32, and the same after a little more
// training: every one of them has moved.
func trained(seed byte, n int) (before, after []byte) {
	rng := rand.New(rand.NewChaCha8([32]byte{seed}))
	for range n {
		w := rng.NormFloat64() * 0.05
		before = binary.LittleEndian.AppendUint32(before, math.Float32bits(float32(w)))
		after = binary.LittleEndian.AppendUint32(after, math.Float32bits(float32(w*(1+1e-6*rng.NormFloat64()))))
	}
	return before, after
}

// npy makes a NumPy file of float32, so that the weights are seen as such.
func npy(weights []byte) []byte {
	head := "{'descr': '<f4', 'fortran_order': False, 'shape': (" + strconv.Itoa(len(weights)/4) + ",), }"
	head += strings.Repeat(" ", 63-(10+len(head))%64) + "\n"
	out := append([]byte("\x93NUMPY\x01\x00"), binary.LittleEndian.AppendUint16(nil, uint16(len(head)))...)
	return append(append(out, head...), weights...)
}

// An update of a model that is here comes as a delta, and who got it that way
// passes it on to a third node, which never met the publisher.
func TestUpdateComesAsDelta(t *testing.T) {
	t.Parallel()
	if raced.Enabled {
		t.Skip("SKIP: coding takes too long under the race detector")
	}
	p, root := publisher(t)
	v1, v2 := trained(1, 200_000)
	publish(t, p, vad, "1.0", "vad.npy", npy(v1))
	a := neighbour(t, p, root, nil, at("a"))
	must[api.Rules](t, a, "follow", api.RulesRequest{Models: []string{vad}})
	arrive(t, a, vad, "1.0")
	b := neighbour(t, a, root, nil, at("b"))
	must[api.Rules](t, b, "carry", api.RulesRequest{Models: []string{"acme/*"}})
	arrive(t, b, vad, "1.0")
	if got := b.model(t, vad); len(got.Routes) != 0 {
		t.Errorf("the first release has routes: %+v", got.Routes)
	}
	before := must[api.Status](t, b, "status", nil).Network

	publish(t, p, vad, "2.0", "vad.npy", npy(v2))
	for _, n := range []*bystander{a, b} {
		if !bytes.Equal(arrive(t, n, vad, "2.0"), npy(v2)) {
			t.Fatal("other bytes arrived")
		}
		routes := n.model(t, vad).Routes
		if len(routes) != 1 || routes[0].By != api.ByDelta || routes[0].Basis != "1.0" || routes[0].DeltaBytes > uint64(len(v2))/2 {
			t.Fatalf("%s: %+v", n.node.id, routes)
		}
	}
	after := must[api.Status](t, b, "status", nil).Network
	size := int64(b.model(t, vad).Routes[0].DeltaBytes)
	t.Logf("delta of %d bytes for %d; in all %d came", size, len(v2), after.TransferIn-before.TransferIn)
	if got := after.DeltaIn - before.DeltaIn; got != size {
		t.Errorf("%d bytes of a delta of %d came", got, size)
	}
	if over := after.TransferIn - before.TransferIn - size; over > 5_000 {
		t.Errorf("%d bytes beyond the delta", over)
	}
	if coded := a.node.net.Load().transfer.Stats().Deltas.Coded; coded != 0 {
		t.Error("the node in the middle coded the delta again")
	}
}

// An update that comes in chunks although the model is here says why.
func TestPlainUpdateSaysWhy(t *testing.T) {
	t.Parallel()
	p, root := publisher(t)
	publish(t, p, vad, "1.0", "vad.bin", random(1, 300_000))
	f := neighbour(t, p, root, nil, at("f"))
	must[api.Rules](t, f, "follow", api.RulesRequest{Models: []string{vad}})
	arrive(t, f, vad, "1.0")
	publish(t, p, vad, "2.0", "vad.bin", random(2, 300_000))
	arrive(t, f, vad, "2.0")
	got := f.model(t, vad).Routes
	want := []api.Route{{Version: "2.0", Path: "vad.bin", By: api.ByChunks, Reason: string(transfer.DeltaWorse)}}
	if !slices.Equal(got, want) {
		t.Errorf("says %+v, want %+v", got, want)
	}
	if !f.log.said("file comes in chunks, not as a delta") {
		t.Error("nothing in the log")
	}
}

func TestBasesFor(t *testing.T) {
	file := func(path, content string, size uint64) manifest.File {
		return manifest.File{Path: path, Size: size, Layout: manifest.SumCID(manifest.DagCBOR, []byte("l"+content)), Digests: manifest.SumCID(manifest.DagCBOR, []byte(content))}
	}
	held := func(sequence uint64, variant, path, content string) heldFile {
		return heldFile{store.Release{Sequence: sequence}, variant, file(path, content, 1<<20)}
	}
	all := []heldFile{
		held(1, "f32", "m.onnx", "a"), held(2, "f32", "m.onnx", "b"), held(2, "int8", "m.onnx", "c"),
		held(2, "f32", "n.onnx", "d"), held(2, "f32", "vocab.txt", "e"), held(3, "f32", "m.onnx", "new"),
		held(3, "int8", "m.onnx", "c"),
		{store.Release{Sequence: 4}, "f32", file("m.onnx", "tiny", 10)},
	}
	var got []string
	for _, h := range basesFor(file("m.onnx", "new", 1<<20), "f32", all) {
		for _, name := range []string{"a", "b", "c", "d", "e", "new", "tiny"} {
			if h.file.Digests == manifest.SumCID(manifest.DagCBOR, []byte(name)) {
				got = append(got, name)
			}
		}
	}
	if want := []string{"b", "a", "c", "d", "e"}; !slices.Equal(got, want) {
		t.Errorf("bases %v, want %v", got, want)
	}
	for i := range 40 {
		all = append(all, held(uint64(i), "f32", "m.onnx", strings.Repeat("x", i+1)))
	}
	if n := len(basesFor(file("m.onnx", "new", 1<<20), "f32", all)); n != transfer.MaxBases {
		t.Errorf("%d bases", n)
	}
}
