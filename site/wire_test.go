package site

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// fullState is as long as a state can be.
func fullState() *state {
	s := &state{Outside: true, Gateway: 1<<64 - 1, More: true}
	for i := range MaxPins {
		s.Pins = append(s.Pins, fmt.Appendf(nil, "%08d", i))
	}
	for i := range MaxErrands {
		s.Errands = append(s.Errands, stance{Release: manifest.SumCID(manifest.DagCBOR, []byte{byte(i)}), Outside: true, Bytes: 1<<64 - 1, Stalls: 1<<64 - 1})
	}
	slices.SortFunc(s.Errands, compareReleases)
	return s
}

func seedMessages() []*message {
	return []*message{
		{Ping: []byte("12345678")},
		{Pong: []byte("12345678")},
		{Far: true},
		{State: &state{}},
		{State: &state{Outside: true, Gateway: 1, Errands: []stance{{Release: releaseA, Outside: true, Bytes: 1000}}}},
		{State: fullState()},
	}
}

func TestMessages(t *testing.T) {
	for _, m := range seedMessages() {
		data, err := encode(m)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(bytes.NewReader(data))
		got, err := decode(in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := encode(got)
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%+v comes back as %+v (%v)", m, got, err)
		}
		if _, err := decode(in); !errors.Is(err, io.EOF) {
			t.Errorf("after the message: %v", err)
		}
	}
	data, err := encode(&message{State: &state{Outside: true}})
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 16 {
		t.Errorf("a state with nothing in it takes %d bytes", len(data))
	}
	data, err = encode(&message{State: &state{Outside: true, Gateway: 1 << 31, Pins: [][]byte{[]byte("12345678")}, Errands: []stance{{Release: releaseA, Bytes: 1 << 20}}}})
	if err != nil || len(data) > 90 {
		t.Errorf("a state with one pin and one errand takes %d bytes (%v)", len(data), err)
	}
	t.Logf("one pin, one errand: %d bytes; as long as can be: %d", len(data), len(mustEncode(t, &message{State: fullState()})))
}

// What is no message is refused, and blamed on whoever sent it.
func TestBadMessages(t *testing.T) {
	frame := func(data []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(data))), data...) }
	raw := func(m *message) []byte { // without the checks of the sender
		data, err := manifest.Marshal(m, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return frame(data)
	}
	work := func(c manifest.CID) stance { return stance{Release: c} }
	sorted := []stance{work(releaseA), work(releaseB)}
	slices.SortFunc(sorted, compareReleases)
	tooMany := fullState()
	tooMany.Pins = append(tooMany.Pins, []byte("99999999"))
	for name, data := range map[string][]byte{
		"no kind":               raw(&message{}),
		"two kinds":             raw(&message{Far: true, State: &state{}}),
		"short nonce":           raw(&message{Ping: []byte("1")}),
		"long nonce":            raw(&message{Pong: []byte("123456789")}),
		"errands out of order":  raw(&message{State: &state{Errands: []stance{sorted[1], sorted[0]}}}),
		"errand twice":          raw(&message{State: &state{Errands: []stance{sorted[0], sorted[0]}}}),
		"pins out of order":     raw(&message{State: &state{Pins: [][]byte{[]byte("22222222"), []byte("11111111")}}}),
		"pin twice":             raw(&message{State: &state{Pins: [][]byte{[]byte("11111111"), []byte("11111111")}}}),
		"short pin":             raw(&message{State: &state{Pins: [][]byte{[]byte("1")}}}),
		"too many pins":         raw(&message{State: tooMany}),
		"too long":              binary.AppendUvarint(nil, MaxMessageBytes+1),
		"endless length":        bytes.Repeat([]byte{0xff}, 11),
		"empty":                 {0},
		"not cbor":              frame([]byte{0xff, 0xff}),
		"more after the value":  frame([]byte{0xa1, 0x63, 'f', 'a', 'r', 0xf5, 0}),
		"unknown key":           frame([]byte{0xa1, 0x63, 'f', 'e', 'r', 0xf5}),
		"far that says nothing": frame([]byte{0xa1, 0x63, 'f', 'a', 'r', 0xf4}),
	} {
		if m, err := decode(bufio.NewReader(bytes.NewReader(data))); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	for name, data := range map[string][]byte{
		"cut in the length": {0x80},
		"cut in the middle": {5, 0xa1},
	} {
		if m, err := decode(bufio.NewReader(bytes.NewReader(data))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if _, err := encode(&message{State: tooMany}); err == nil {
		t.Error("sends what nobody would take")
	}
}

// What decodes is within bounds and re-encodes byte for byte.
func FuzzMessage(f *testing.F) {
	for _, m := range seedMessages() {
		data, err := encode(m)
		if err != nil {
			f.Fatal(err)
		}
		_, n := binary.Uvarint(data)
		f.Add(data[n:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		framed := append(binary.AppendUvarint(nil, uint64(len(data))), data...)
		m, err := decode(bufio.NewReader(bytes.NewReader(framed)))
		if err != nil {
			return
		}
		again, err := encode(m)
		if err != nil || !bytes.Equal(again, framed) {
			t.Fatalf("%x re-encodes as %x (%v)", framed, again, err)
		}
		if s := m.State; s != nil && (len(s.Errands) > MaxErrands || len(s.Pins) > MaxPins) {
			t.Fatalf("state of %d errands and %d pins", len(s.Errands), len(s.Pins))
		}
	})
}
