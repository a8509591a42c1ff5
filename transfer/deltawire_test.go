package transfer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

func deltaSamples() []*deltaMessage {
	cid := func(text string) manifest.CID { return manifest.SumCID(manifest.DagCBOR, []byte(text)) }
	id := func(text string) manifest.FileID {
		return manifest.FileID{Layout: cid("layout"), Digests: cid(text)}
	}
	return []*deltaMessage{
		{Ask: &deltaAsk{Version: Version, Format: 1, File: id("new"), Bases: []manifest.FileID{id("old")}, Link: Narrow, Effort: codec.Strong}},
		{Ask: &deltaAsk{
			Version: Version, Format: 1, File: id("new"), Bases: []manifest.FileID{id("old"), id("older")}, Link: LAN, Effort: codec.Fast,
			Part: &deltaPart{Basis: 1, Effort: codec.Strong, Bytes: 100_000, Sum: manifest.SumDigest([]byte("part"))},
		}},
		{Wait: &deltaWait{For: waitComing}},
		{Wait: &deltaWait{For: waitComing, Bytes: 1000}},
		{Wait: &deltaWait{For: waitElsewhere, Peer: []byte("\x00\x03abc"), Addrs: [][]byte{{4, 127, 0, 0, 1, 6, 0, 80}}}},
		{Wait: &deltaWait{For: waitRelay}},
		{Offer: &deltaOffer{Basis: 1, Effort: codec.Strong}},
		{Offer: &deltaOffer{Effort: codec.Fast, Bytes: 300_000}},
		{Offer: &deltaOffer{Effort: codec.Strong, Relay: true}},
		{Take: &deltaTake{}},
		{Data: &deltaData{Offset: 65_536, Bytes: 1000}},
		{End: &deltaEnd{Bytes: 66_536, Sum: manifest.SumDigest([]byte("delta"))}},
		{Fault: &deltaFault{Code: deltaNoBasis}},
		{Fault: &deltaFault{Code: deltaBusy, Retry: 10, Text: "later"}},
	}
}

func onDeltaWire(tb testing.TB, m *deltaMessage) []byte {
	b := encode(tb, m)
	return append(binary.AppendUvarint(nil, uint64(len(b.Data))), b.Data...)
}

// TestDeltaWire holds the bytes of every kind of message: other builds and other
// implementations read them.
func TestDeltaWire(t *testing.T) {
	link := "d82a58250001711220"
	layout := link + hex.EncodeToString(manifest.SumCID(manifest.DagCBOR, []byte("layout")).Bytes()[4:])
	digests := func(text string) string {
		return link + hex.EncodeToString(manifest.SumCID(manifest.DagCBOR, []byte(text)).Bytes()[4:])
	}
	id := func(text string) string { return "a2666c61796f7574" + layout + "6764696765737473" + digests(text) }
	sum := func(text string) string {
		d := manifest.SumDigest([]byte(text))
		return "5820" + hex.EncodeToString(d[:])
	}
	want := []string{
		"a163" + hex.EncodeToString([]byte("ask")) + "a6" + "6466696c65" + id("new") + "646c696e6b666e6172726f77" +
			"656261736573" + "81" + id("old") + "666566666f727402" + "66666f726d617401" + "6776657273696f6e02",
		"a163" + hex.EncodeToString([]byte("ask")) + "a7" + "6466696c65" + id("new") + "646c696e6b636c616e" +
			"6470617274" + "a4" + "6373756d" + sum("part") + "65626173697301" + "6562797465731a000186a0" + "666566666f727402" +
			"656261736573" + "82" + id("old") + id("older") + "666566666f727401" + "66666f726d617401" + "6776657273696f6e02",
		"a16477616974a163666f7266636f6d696e67",
		"a16477616974a263666f7266636f6d696e676562797465731903e8",
		"a16477616974a363666f7269656c73657768657265" + "6470656572" + "450003616263" + "65616464727381" + "48047f000001060050",
		"a16477616974a163666f726572656c6179",
		"a1656f66666572a265626173697301666566666f727402",
		"a1656f66666572a3656261736973006562797465731a000493e0666566666f727401",
		"a1656f66666572a36562617369730065" + "72656c6179f5" + "666566666f727402",
		"a16474616b65a0",
		"a16464617461821a000100001903e8",
		"a163656e64a26373756d" + sum("delta") + "6562797465731a000103e8",
		"a1656661756c74a164636f6465686e6f5f6261736973",
		"a1656661756c74a364636f6465646275737964746578" + "74656c6174657265726574727" + "90a",
	}
	for i, m := range deltaSamples() {
		got := hex.EncodeToString(encode(t, m).Data)
		if got != want[i] {
			t.Errorf("message %d is\n%s, want\n%s", i, got, want[i])
		}
	}
}

func TestDeltaMessagesOutOfBoundsAreRefused(t *testing.T) {
	ask := func(change func(*deltaAsk)) *deltaMessage {
		a := *deltaSamples()[1].Ask
		part := *a.Part
		a.Part = &part
		change(&a)
		return &deltaMessage{Ask: &a}
	}
	for name, m := range map[string]*deltaMessage{
		"nothing":           {},
		"two kinds":         {Take: &deltaTake{}, Wait: &deltaWait{For: waitCoding}},
		"version 0":         ask(func(a *deltaAsk) { a.Version = 0 }),
		"unknown link":      ask(func(a *deltaAsk) { a.Link = "pigeon" }),
		"unknown effort":    ask(func(a *deltaAsk) { a.Effort = 3 }),
		"negative effort":   ask(func(a *deltaAsk) { a.Effort = -1 }),
		"no bases":          ask(func(a *deltaAsk) { a.Bases = nil }),
		"many bases":        ask(func(a *deltaAsk) { a.Bases = make([]manifest.FileID, MaxBases+1) }),
		"itself as basis":   ask(func(a *deltaAsk) { a.Bases[0] = a.File }),
		"part of no basis":  ask(func(a *deltaAsk) { a.Part.Basis = 2 }),
		"part of nothing":   ask(func(a *deltaAsk) { a.Part.Bytes = 0 }),
		"part too large":    ask(func(a *deltaAsk) { a.Part.Bytes = maxDeltaBytes + 1 }),
		"part of no effort": ask(func(a *deltaAsk) { a.Part.Effort = codec.Light }),
		"unknown wait":      {Wait: &deltaWait{For: "godot"}},
		"elsewhere nowhere": {Wait: &deltaWait{For: waitElsewhere}},
		"no name elsewhere": {Wait: &deltaWait{For: waitElsewhere, Peer: []byte("x")}},
		"many addresses":    {Wait: &deltaWait{For: waitElsewhere, Peer: []byte("\x00\x03abc"), Addrs: make([][]byte, maxElsewhere+1)}},
		"a long address":    {Wait: &deltaWait{For: waitElsewhere, Peer: []byte("\x00\x03abc"), Addrs: [][]byte{make([]byte, maxAddrBytes+1)}}},
		"a peer for naught": {Wait: &deltaWait{For: waitComing, Peer: []byte("\x00\x03abc")}},
		"offer of a 17th":   {Offer: &deltaOffer{Basis: MaxBases, Effort: codec.Fast}},
		"offer of plain":    {Offer: &deltaOffer{}},
		"large offer":       {Offer: &deltaOffer{Effort: codec.Fast, Bytes: maxDeltaBytes + 1}},
		"no data":           {Data: &deltaData{}},
		"large data":        {Data: &deltaData{Bytes: maxDeltaPiece + 1}},
		"data far away":     {Data: &deltaData{Offset: maxDeltaBytes + 1, Bytes: 1}},
		"end of nothing":    {End: &deltaEnd{}},
		"long text":         {Fault: &deltaFault{Text: strings.Repeat("x", maxText+1)}},
	} {
		if err := m.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for i, m := range deltaSamples() {
		if err := m.Validate(); err != nil {
			t.Errorf("sample %d: %v", i, err)
		}
	}
}

func FuzzReadDeltaMessage(f *testing.F) {
	for _, m := range deltaSamples() {
		f.Add(onDeltaWire(f, m))
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var buf []byte
		m := &deltaMessage{}
		if err := readInto(bufio.NewReader(bytes.NewReader(data)), &buf, m); err != nil {
			if cap(buf) > MaxMessageBytes {
				t.Fatalf("allocated %d bytes", cap(buf))
			}
			return
		}
		if again := onDeltaWire(t, m); len(again) <= 128 && !bytes.HasPrefix(data, again) {
			t.Fatalf("accepted %x, writes %x", data, again)
		}
	})
}
