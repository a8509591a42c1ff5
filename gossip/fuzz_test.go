package gossip

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/trust"
)

// seedTurns are turns of every kind.
func seedTurns() []turn {
	acme := newAuthor("acme")
	acme.release("vad", 700)
	var all []*author
	for i := range 20 {
		all = append(all, newAuthor(string(rune('a'+i))))
	}
	small, large := takeVector(stateOf(acme)), takeVector(stateOf(all...))
	salt := []byte("saltsalt")
	return []turn{
		{},
		{Digest: small.digest()},
		{Digest: small.digest(), Salt: salt, Sections: []section{small.section(nil, salt)}},
		{Digest: large.digest(), Salt: salt, Sections: []section{large.section(nil, salt), large.section([]byte{3}, salt)}},
		{Asks: []ask{{Publisher: acme.fingerprint(), Have: versions{Root: 1, Timestamp: 7}}}},
		{Seen: 3, Updates: 2, More: true},
	}
}

// What decodes as a turn is within bounds and re-encodes byte for byte.
func FuzzTurn(f *testing.F) {
	for _, in := range seedTurns() {
		block, err := manifest.Encode(&in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(block.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := decodeTurn(data)
		if err != nil {
			return
		}
		block, err := manifest.Encode(in)
		if err != nil || !bytes.Equal(block.Data, data) {
			t.Fatalf("%x re-encodes as %x (%v)", data, block.Data, err)
		}
	})
}

// Reading frames never yields more than the limit, and what was framed comes
// back.
func FuzzFrame(f *testing.F) {
	c, err := newCompressor()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add(c.appendFrame(nil, []byte("short")))
	f.Add(c.appendFrame(nil, bytes.Repeat([]byte("long "), 1000)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 16
		if content, err := c.readFrame(bufio.NewReader(bytes.NewReader(data)), limit); err == nil && len(content) > limit {
			t.Fatalf("%d bytes, limit %d", len(content), limit)
		}
		if size, err := peekFrame(bufio.NewReader(bytes.NewReader(data))); err == nil && size > 1<<63 {
			t.Fatalf("size %d", size)
		}
		got, err := c.readFrame(bufio.NewReader(bytes.NewReader(c.appendFrame(nil, data))), len(data))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%x comes back as %x (%v)", data, got, err)
		}
	})
}

// Whatever turn comes, answering it is quick, keeps to the bounds of a turn,
// and changes nothing.
func FuzzAnswer(f *testing.F) {
	for _, in := range seedTurns() {
		block, err := manifest.Encode(&in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(block.Data)
	}
	acme := newAuthor("acme")
	acme.release("vad", 700)
	state := stateOf(acme, newAuthor("other"))
	g := &Gossip{config: Config{State: state}, meets: newMeetings(params{}), learn: newLearner(), memory: newMemory(), parole: newParole()}
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := decodeTurn(data)
		if err != nil {
			return
		}
		s := &session{g: g, compared: make(map[trust.Fingerprint]bool), shown: make(map[trust.Fingerprint]bool), granted: make(map[trust.Fingerprint]uint64), changed: make(map[trust.Fingerprint]bool)}
		out, err := s.answer(t.Context(), in)
		if err != nil {
			return
		}
		if _, err := manifest.Encode(&out.turn); err != nil {
			t.Fatalf("the answer is no turn: %v", err)
		}
	})
}
