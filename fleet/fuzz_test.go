package fleet

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/dunlin-mesh/dunlin/manifest"
)

func seedVector(n int) vector {
	v := make(vector, 0, n)
	for i := range n {
		v = v.with([]stamp{{key: rowKey{byte(i * 37), byte(i)}, epoch: uint64(i) + 1, sequence: 1}})
	}
	return v
}

// What decodes as a turn is within bounds and re-encodes byte for byte.
func FuzzTurn(f *testing.F) {
	salt := []byte("saltsalt")
	_, record := newStranger(f).signed(f, 1, 1)
	for _, in := range []turn{
		{},
		{Mesh: meshMark(testMesh), Pause: 10, Digest: seedVector(3).digest(), Haves: []entry{entryOf(seedVector(1)[0])}},
		{Digest: seedVector(3).digest(), Salt: salt, Sections: []section{seedVector(3).section(nil, salt)}},
		{Salt: salt, Sections: []section{seedVector(40).section(nil, salt), seedVector(40).section([]byte{3}, salt)}},
		{Wants: [][]byte{salt}, Records: []carried{{Age: 7, Record: record}}, More: true},
	} {
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

// What decodes as a record is within bounds and re-encodes byte for byte.
func FuzzRecord(f *testing.F) {
	node := newStranger(f)
	_, small := node.signed(f, 1, 1)
	big := bigRecord()
	big.Peer, big.Epoch, big.Sequence = node.peer, 1, 1
	data, err := sign(node.key, testMesh, &big)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(small)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := verify(testMesh, data); err == nil && len(data) > MaxRecordBytes {
			t.Fatalf("%d bytes", len(data))
		}
		r, e, err := decode(data)
		if err != nil {
			return
		}
		block, err := manifest.Encode(r)
		if err != nil || !bytes.Equal(block.Data, e.Record) {
			t.Fatalf("%x re-encodes as %x (%v)", e.Record, block.Data, err)
		}
	})
}

// Reading frames never yields more than the limit, and what was framed comes
// back.
func FuzzFrame(f *testing.F) {
	p, err := newPacker()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(p.Close)
	f.Add([]byte{})
	f.Add(p.frame([]byte("short")))
	f.Add(p.frame(bytes.Repeat([]byte("long "), 1000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if content, err := p.read(bufio.NewReader(bytes.NewReader(data))); err == nil && len(content) > maxTurnBytes {
			t.Fatalf("%d bytes", len(content))
		}
		if len(data) <= maxTurnBytes {
			back, err := p.read(bufio.NewReader(bytes.NewReader(p.frame(data))))
			if err != nil || !bytes.Equal(back, data) {
				t.Fatalf("%x comes back as %x (%v)", data, back, err)
			}
		}
	})
}

// A saved table that decodes is within bounds and re-encodes byte for byte.
func FuzzSaved(f *testing.F) {
	_, record := newStranger(f).signed(f, 1, 1)
	data, err := manifest.Marshal(&savedTable{Time: 7, Rows: []savedRow{{Age: 1, Via: []byte("v"), Group: []byte{}, Record: record}}}, maxFileBytes)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		saved, err := decodeSaved(data)
		if err != nil {
			return
		}
		again, err := manifest.Marshal(saved, maxFileBytes)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x re-encodes as %x (%v)", data, again, err)
		}
	})
}
