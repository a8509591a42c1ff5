package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// ports is the signature that decoders of tensors are tried with.
func ports() []modelrt.Port {
	return []modelrt.Port{
		{Name: "a", DType: modelrt.F32, Shape: []int64{-1}}, {Name: "b", DType: modelrt.I64, Shape: []int64{}}, {Name: "c", DType: modelrt.BOOL},
	}
}

const arenaForTests = 1 << 20

func FuzzDecodePlaces(f *testing.F) {
	f.Add(appendPlaces(nil, []place{{shape: []int64{3}}, {}, {shape: []int64{1, 0}}}))
	f.Add(appendPlaces(nil, []place{{shape: []int64{1024}, shared: true, offset: 64}, {}, {shape: []int64{1 << 20}, shared: true}}))
	f.Add(appendPlaces(nil, []place{{shape: []int64{1 << 62}}, {}, {}}))
	f.Fuzz(func(t *testing.T, body []byte) {
		places, err := decodePlaces(body, ports(), arenaForTests)
		if err != nil {
			if !errors.Is(err, errFrame) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		var total int64
		for i, p := range places {
			size, err := modelrt.ByteSize(ports()[i].DType, p.shape)
			if err != nil || size != p.size || p.shared && (p.offset < 0 || p.offset+p.size > arenaForTests) {
				t.Errorf("%+v is outside", p)
			}
			total += size
		}
		if total > maxTensorsBytes {
			t.Errorf("%d bytes are accepted", total)
		}
		if again := appendPlaces(nil, places); !bytes.Equal(again, body) {
			t.Errorf("%x became %x", body, again)
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	for _, h := range []header{{kind: kindRun, id: 7, body: 3}, {kind: kindCancel, id: 1}, {kind: kindLoaded, body: 1}, {kind: kindFailed, body: 2}, {kind: kindLoad, body: maxBodyBytes}} {
		f.Add(append(h.append(nil), "abc"...))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, body, err := readFrame(bytes.NewReader(in))
		if err != nil {
			if !errors.Is(err, errFrame) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if again := append(h.append(nil), body...); !bytes.Equal(again, in[:len(again)]) {
			t.Errorf("%x became %x", in, again)
		}
	})
}

func FuzzDecodeFailure(f *testing.F) {
	f.Add(encodeFailure(fmt.Errorf("%w: x", modelrt.ErrLoad)))
	f.Add([]byte{9, 'x'})
	f.Add([]byte{0, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		said, err := decodeFailure(body)
		if err != nil {
			if !errors.Is(err, errFrame) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if again := encodeFailure(said); !bytes.Equal(again, body) {
			t.Errorf("%x became %x", body, again)
		}
	})
}

func FuzzDecodeLoaded(f *testing.F) {
	good, err := json.Marshal(loadedBody{EngineVersion: "1.2", Signature: modelrt.Signature{Inputs: ports(), Outputs: ports()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"f32"`), []byte(`"q7"`), 1))
	f.Add(append(slices.Clone(good), '{'))
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := decodeLoaded(body)
		if err != nil {
			if !errors.Is(err, errFrame) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		for _, p := range slices.Concat(l.Signature.Inputs, l.Signature.Outputs) {
			if p.DType.Size() == 0 && p.DType != modelrt.STRING || len(p.Shape) > modelrt.MaxRank {
				t.Errorf("port %+v is accepted", p)
			}
		}
	})
}

func TestFailuresKeepTheirIdentity(t *testing.T) {
	for _, known := range failures() {
		said, err := decodeFailure(encodeFailure(fmt.Errorf("run 7: %w: why", known)))
		if err != nil || !errors.Is(said, known) || said.Error() != "run 7: "+known.Error()+": why" {
			t.Errorf("%v became %v (%v)", known, said, err)
		}
	}
	said, err := decodeFailure(encodeFailure(errors.New(strings.Repeat("ü\xff", 1<<16))))
	if err != nil || !errors.Is(said, modelrt.ErrRun) || len(said.Error()) > maxFailureBytes || len(said.Error()) < maxFailureBytes-3 {
		t.Errorf("an endless error became one of %d bytes (%v)", len(said.Error()), err)
	}
	if code := encodeFailure(context.Canceled)[0]; failures()[code] != context.Canceled { //nolint:errorlint // the very value
		t.Errorf("code %d", code)
	}
}

func TestReadInline(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), (inlineStep+inlineStep/2)/16)
	got, err := readInline(bytes.NewReader(data), int64(len(data)))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
	// A size that is claimed and does not come takes no more than one step.
	allocated := testing.AllocsPerRun(1, func() {
		if _, err := readInline(bytes.NewReader(nil), modelrt.MaxTensorBytes); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
	if allocated > 8 {
		t.Errorf("%v allocations", allocated)
	}
}

// TestTensorsTravel sends tensors of any shape through frames and an arena.
func TestTensorsTravel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newArena(make([]byte, 32<<10))
		in := map[string]modelrt.Tensor{}
		for _, p := range ports() {
			shape := []int64{}
			if p.DType != modelrt.I64 {
				shape = rapid.SliceOfN(rapid.Int64Range(0, 40), 1, 3).Draw(t, "shape")
			}
			x, err := modelrt.NewTensor(p.DType, shape, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for i := range x.Data {
				x.Data[i] = byte(i) & 1
			}
			in[p.Name] = x
		}
		places, blocks := placeTensors(ports(), in, a)
		r := bytes.NewReader(tensorFrame(kindRun, 9, ports(), in, places))
		h, body, err := readFrame(r)
		if err != nil || h.kind != kindRun || h.id != 9 {
			t.Fatal(h, err)
		}
		heard, err := decodePlaces(body, ports(), int64(len(a.mem)))
		if err != nil {
			t.Fatal(err)
		}
		tensors, err := readTensors(r, ports(), heard)
		if err != nil || r.Len() > 0 {
			t.Fatal(err, r.Len())
		}
		for i, p := range heard {
			if p.shared {
				tensors[i].Data = a.mem[p.offset : p.offset+p.size]
			}
		}
		for name, out := range named(ports(), tensors) {
			want := in[name]
			if out.DType != want.DType || !slices.Equal(out.Shape, want.Shape) || !bytes.Equal(out.Data, want.Data) {
				t.Fatalf("%s became %s%v", name, out.DType, out.Shape)
			}
		}
		if a.free(blocks); len(a.taken) > 0 {
			t.Fatalf("%v is not free", a.taken)
		}
	})
}

// TestArenaBlocksNeverOverlap puts and frees at random.
func TestArenaBlocksNeverOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newArena(make([]byte, 4096))
		held := map[block]byte{}
		for step := range 200 {
			if rapid.Bool().Draw(t, "put") {
				data := bytes.Repeat([]byte{byte(step)}, rapid.IntRange(1, 700).Draw(t, "size"))
				b, ok := a.put(data)
				if !ok {
					continue
				}
				if b.offset%blockBytes != 0 || b.offset+int64(len(data)) > 4096 {
					t.Fatalf("%+v for %d bytes", b, len(data))
				}
				held[b] = byte(step)
				continue
			}
			for b, fill := range held {
				if a.mem[b.offset] != fill {
					t.Fatalf("%+v was overwritten", b)
				}
				a.free([]block{b})
				delete(held, b)
				break
			}
		}
		for b, fill := range held {
			if a.mem[b.offset] != fill {
				t.Fatalf("%+v was overwritten", b)
			}
			a.free([]block{b, b})
		}
		if b, ok := a.put(make([]byte, 4096)); !ok || b.offset != 0 {
			t.Fatal("an arena that is free again has no room")
		}
		if _, ok := a.put([]byte{1}); ok {
			t.Fatal("a full arena has room")
		}
	})
}
