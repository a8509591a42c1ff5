package transfer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// TestSetUpIsCheap: fetching a manifest and the one digest leaf that changed,
// with all chunks here already, costs at most 1.5 kB beyond the blocks.
func TestSetUpIsCheap(t *testing.T) {
	r := makeRelease(t, 50, 7<<20)
	a := newNode(t, newHost(t), r.seed(newMemStore(), nil))
	store := r.seed(newMemStore(), nil)
	delete(store.blocks, r.manifest.CID)
	delete(store.blocks, r.files[0].Digests)
	b := newNode(t, newHost(t), store)
	meet(t, a, b)
	if err := fetchAll(within(t, time.Minute), b, r, nil); err != nil {
		t.Fatal(err)
	}
	payload := len(r.manifest.Data) + len(r.blocks[len(r.blocks)-1].Data)
	s := b.Stats()
	// multistream-select names itself and the protocol, both ways, on each of
	// two streams.
	negotiation := 2 * 2 * (len("\x13/multistream/1.0.0\n") + len("\x15"+ProtocolID+"\n"))
	total := int(s.BytesReceived+s.BytesSent) + negotiation
	t.Logf("%d bytes received, %d sent, %d of negotiation; blocks of %d bytes", s.BytesReceived, s.BytesSent, negotiation, payload)
	if total-payload > 1500 {
		t.Errorf("%d bytes beyond the blocks, want at most 1500", total-payload)
	}
}

// TestChunkOverhead: what a frame costs beyond its chunk.
func TestChunkOverhead(t *testing.T) {
	r := makeRelease(t, 51, 8<<20)
	a := newNode(t, newHost(t), r.seed(newMemStore(), nil))
	b := newNode(t, newHost(t), r.seedBlocks(newMemStore()))
	meet(t, a, b)
	if err := b.Fetch(within(t, time.Minute), Job{Release: r.manifest.CID, Files: r.files}); err != nil {
		t.Fatal(err)
	}
	s := b.Stats()
	over := int(s.BytesReceived+s.BytesSent) - int(r.size())
	t.Logf("%d bytes for %d chunks, %.1f each", over, r.chunkCount(0), float64(over)/float64(r.chunkCount(0)))
	if over > 300+64*r.chunkCount(0) {
		t.Errorf("%d bytes beyond the chunks", over)
	}
}

func samples() []*message {
	cid := manifest.SumCID(manifest.DagCBOR, []byte("x"))
	return []*message{
		{Hello: &hello{Version: Version, Link: WAN, MaxFrame: 1 << 21}},
		{Want: &want{Blocks: []manifest.CID{cid}}},
		{Block: &block{Bytes: 100}},
		{Open: &open{Release: cid, Files: []manifest.FileID{{Layout: cid, Digests: cid}}}},
		{Have: &ranges{File: 1, Chunks: manifest.Ranges{{From: 1, To: 3}, {From: 9, To: 10}}}},
		{Coming: &coming{File: 1, Chunks: manifest.NewRanges(3, 9), Bytes: 70_000}},
		{Coming: &coming{}},
		{Request: &ranges{Chunks: manifest.NewRanges(0, 4)}},
		{Frame: &piece{File: 1, Chunk: 2, Bytes: 3}},
		{Frame: &piece{File: 1, Chunk: 2, Bytes: 3, From: 4000}},
		{Resume: &resume{File: 1, Chunk: 2, Bytes: 4000, Sum: manifest.SumDigest([]byte("x"))}},
		{Cancel: &ranges{Chunks: manifest.NewRanges(2, 3)}},
		{Fault: &faultAt{Code: faultBusy, Retry: 10}},
		{Fault: &faultAt{Code: faultNotHeld, File: 2, Chunks: manifest.NewRanges(2, 3), Text: "why"}},
	}
}

func onWire(tb testing.TB, m *message) []byte {
	b := encode(tb, m)
	return append(binary.AppendUvarint(nil, uint64(len(b.Data))), b.Data...)
}

func TestMessagesOutOfBoundsAreRefused(t *testing.T) {
	cid := manifest.SumCID(manifest.DagCBOR, []byte("x"))
	spans := make(manifest.Ranges, maxSpans+1)
	for i := range spans {
		spans[i] = manifest.Span{From: uint32(2 * i), To: uint32(2*i + 1)}
	}
	for name, m := range map[string]*message{
		"nothing":            {},
		"two kinds":          {Block: &block{}, Hello: samples()[0].Hello},
		"version 0":          {Hello: &hello{Link: WAN}},
		"version 1":          {Hello: &hello{Version: 1, Link: WAN}},
		"claim of many":      {Coming: &coming{Chunks: spans}},
		"claim far away":     {Coming: &coming{Chunks: manifest.NewRanges(0, 1<<31)}},
		"unknown link":       {Hello: &hello{Version: Version, Link: "pigeon"}},
		"no wants":           {Want: &want{}},
		"many wants":         {Want: &want{Blocks: make([]manifest.CID, maxWants+1)}},
		"no files":           {Open: &open{Release: cid}},
		"many files":         {Open: &open{Release: cid, Files: make([]manifest.FileID, maxOpenFiles+1)}},
		"large block":        {Block: &block{Bytes: 1 << 30}},
		"empty frame":        {Frame: &piece{}},
		"large frame":        {Frame: &piece{Bytes: 1 << 30}},
		"frame far away":     {Frame: &piece{Bytes: 1, From: 1 << 30}},
		"resume of nothing":  {Resume: &resume{}},
		"large file number":  {Request: &ranges{File: maxFiles, Chunks: manifest.NewRanges(0, 1)}},
		"large chunk number": {Request: &ranges{Chunks: manifest.NewRanges(0, 1<<31)}},
		"many spans":         {Have: &ranges{Chunks: spans}},
		"unordered spans":    {Have: &ranges{Chunks: manifest.Ranges{{From: 3, To: 4}, {From: 1, To: 2}}}},
		"long text":          {Fault: &faultAt{Text: strings.Repeat("x", maxText+1)}},
	} {
		if err := m.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	spans = spans[:maxSpans]
	if n := len(onWire(t, &message{Have: &ranges{Chunks: spans}})); n > MaxMessageBytes {
		t.Errorf("the largest have takes %d bytes, at most %d fit", n, MaxMessageBytes)
	}
}

func FuzzReadMessage(f *testing.F) {
	for _, m := range samples() {
		f.Add(onWire(f, m))
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var buf []byte
		r := bufio.NewReader(bytes.NewReader(data))
		m := &message{}
		if err := readInto(r, &buf, m); err != nil {
			if cap(buf) > MaxMessageBytes {
				t.Fatalf("allocated %d bytes", cap(buf))
			}
			return
		}
		if again := onWire(t, m); len(again) <= 128 && !bytes.HasPrefix(data, again) {
			t.Fatalf("accepted %x, writes %x", data, again)
		}
	})
}

func TestReadMessageNamesWhatIsWrong(t *testing.T) {
	var buf []byte
	// A key that this version does not know: {"hello": {"link": …, "basis": 1, "version": …}}.
	more := strings.NewReplacer("\xa3dlink", "\xa4dlink", "gversion", "ebasis\x01gversion").Replace(string(onWire(t, samples()[0])[1:]))
	more = string(rune(len(more))) + more
	for _, data := range []string{"\xff\xff\x7f", "\x05hello", "\x01\xa0", more} {
		if err := readInto(bufio.NewReader(strings.NewReader(data)), &buf, &message{}); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %v, want ErrProtocol", data, err)
		}
	}
}
