package fleet

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// rogue lets node 1 talk to node 0 by hand: it sends the turns, and returns
// what is answered until the stream ends.
func (f *flock) rogue(turns ...[]byte) (answers [][]byte, err error) {
	f.t.Helper()
	stream, err := f.nodes[1].host.NewStream(network.WithNoDial(f.t.Context(), "test"), f.nodes[0].host.ID(), Protocol)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = stream.Reset() }()
	in := bufio.NewReader(stream)
	for _, data := range turns {
		if _, err := stream.Write(data); err != nil {
			return answers, err
		}
	}
	_ = stream.CloseWrite()
	_ = stream.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		data, err := f.nodes[1].fleet.packer.read(in)
		if err != nil {
			return answers, err
		}
		answers = append(answers, data)
	}
}

// framed returns a turn as it travels.
func (f *flock) framed(t *turn) []byte {
	f.t.Helper()
	data, err := manifest.Marshal(t, manifest.MaxBlockBytes)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.nodes[1].fleet.packer.frame(data)
}

// Whatever breaks the protocol ends the session, changes nothing and puts the
// peer on parole.
func TestHostileTurns(t *testing.T) {
	greeting := func(f *flock) *turn {
		return &turn{Mesh: meshMark(testMesh), Digest: bytes.Repeat([]byte{1}, digestBytes)}
	}
	for name, make := range map[string]func(f *flock) []byte{
		"forged record": func(f *flock) []byte {
			in := greeting(f)
			_, data := newStranger(f.t).signed(f.t, 1, 1)
			data[len(data)-1] ^= 1
			in.Records = []carried{{Record: data}}
			return f.framed(in)
		},
		"record of another mesh": func(f *flock) []byte {
			in := greeting(f)
			node := newStranger(f.t)
			r := testRecord("a", "1", 0)
			r.Peer, r.Epoch, r.Sequence = node.peer, 1, 1
			data, err := sign(node.key, "other", &r)
			if err != nil {
				f.t.Fatal(err)
			}
			in.Records = []carried{{Record: data}}
			return f.framed(in)
		},
		"record of 3 KiB": func(f *flock) []byte {
			in := greeting(f)
			in.Records = []carried{{Record: make([]byte, 3<<10)}}
			return f.framed(in)
		},
		"too many records": func(f *flock) []byte {
			in := greeting(f)
			in.Records = make([]carried, maxRecords+1)
			return f.framed(in)
		},
		"no digest":   func(f *flock) []byte { return f.framed(&turn{Mesh: meshMark(testMesh)}) },
		"two digests": func(f *flock) []byte { return append(f.framed(greeting(f)), f.framed(greeting(f))...) },
		"sections unsalted": func(f *flock) []byte {
			in := greeting(f)
			in.Sections = []section{{Prefix: []byte{1}}}
			return f.framed(in)
		},
		"future counters": func(f *flock) []byte {
			in := greeting(f)
			in.Haves = []entry{{Key: make([]byte, 8), Epoch: 1 << 60, Sequence: 1}}
			return f.framed(in)
		},
		"huge frame": func(*flock) []byte { return []byte{0xff, 0xff, 0xff, 0xff, 0x0f} },
		"no zstd":    func(*flock) []byte { return []byte{9, 1, 2, 3, 4} },
		"no cbor":    func(*flock) []byte { return []byte{8, 1, 2, 3, 4} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlock(t, place{"a", LAN}, place{"a", LAN})
				f.connect(0, 1)
				f.pass(time.Minute)
				rows := len(f.nodes[0].fleet.config.Table.Rows())
				if _, err := f.rogue(make(f)); err == nil || errors.Is(err, io.EOF) {
					t.Errorf("the session ends well: %v", err)
				}
				synctest.Wait()
				if got := len(f.nodes[0].fleet.config.Table.Rows()); got != rows {
					t.Errorf("%d rows, there were %d", got, rows)
				}
				if !f.nodes[0].fleet.contacts.onParole(f.nodes[1].host.ID()) {
					t.Error("the peer is not on parole")
				}
				if answers, err := f.rogue(f.framed(greeting(f))); len(answers) > 0 || errors.Is(err, io.EOF) {
					t.Errorf("a peer on parole is answered: %d turns, %v", len(answers), err)
				}
				f.pass(2 * paroleFirst)
				f.nodes[1].say("2", 0)
				f.pass(10 * time.Second)
				f.wantTold(1, "2", 0)
			})
		})
	}
}

// A node of another mesh is let go without blame, and costs next to nothing.
func TestOtherMesh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t, place{"a", LAN}, place{"a", LAN})
		f.nodes[1].fleet.mesh = meshMark("other")
		f.connect(0, 1)
		f.pass(time.Minute)
		sessions := f.sessions()
		for range 60 {
			f.nodes[0].say("2", 0)
			f.nodes[1].say("2", 0)
			f.pass(time.Minute)
		}
		if got := f.sessions() - sessions; got > 0 {
			t.Errorf("%d more sessions with another mesh", got)
		}
		f.wantTold(1, "", 0)
		f.wantTold(0, "", 1)
		if f.nodes[0].fleet.contacts.onParole(f.nodes[1].host.ID()) {
			t.Error("a node of another mesh is on parole")
		}
	})
}

// Sequences from the future of one node harm that node only.
func TestFutureSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t, place{"a", LAN}, place{"a", LAN})
		f.connect(0, 1)
		f.pass(time.Minute)
		node := newStranger(t)
		_, last := node.signed(t, maxCounter, maxCounter)
		_, next := node.signed(t, 1, 1)
		greeting := &turn{Mesh: meshMark(testMesh), Digest: bytes.Repeat([]byte{1}, digestBytes), Records: []carried{{Record: last}, {Record: next}}}
		_, _ = f.rogue(f.framed(greeting)) // ends in the middle, which is no offence
		if f.nodes[0].fleet.contacts.onParole(f.nodes[1].host.ID()) {
			t.Error("the peer is on parole")
		}
		f.pass(time.Minute)
		row := f.nodes[0].fleet.config.Table.get(keyOf(node.peer))
		if row == nil || row.sequence != maxCounter {
			t.Errorf("row %+v", row)
		}
		f.nodes[1].say("2", 0)
		f.pass(time.Second)
		f.wantTold(1, "2", 0)
	})
}

// Whoever asks for everything, again and again, is slowed down; a session sends
// no more than the budget of the link.
func TestGreedyPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlock(t, place{"a", Narrow}, place{"b", Narrow})
		for range 1000 {
			r, data := newStranger(t).signed(t, 1, 1)
			f.nodes[0].fleet.config.Table.put(r, data, 0, r.Peer, false)
		}
		f.connect(0, 1)
		f.pass(time.Minute)
		before, served := f.nodes[0].count.out.Load(), 0
		greeting := f.framed(&turn{Mesh: meshMark(testMesh), Digest: bytes.Repeat([]byte{1}, digestBytes)})
		all := f.framed(&turn{Salt: []byte("saltsalt"), Sections: []section{{}}})
		for range 100 {
			if answers, _ := f.rogue(greeting, all); len(answers) > 0 {
				served++
			}
		}
		perSession := (f.nodes[0].count.out.Load() - before) / int64(max(served, 1))
		t.Logf("%d of 100 served, %d bytes each", served, perSession)
		if served > 40 {
			t.Errorf("%d of 100 sessions in a row were served", served)
		}
		if perSession < 10<<10 || perSession > 40<<10 {
			t.Errorf("%d bytes a session, want the budget of the link", perSession)
		}
	})
}

// A full table takes little memory.
func TestMemoryIsBounded(t *testing.T) {
	table := testTable(t)
	before := heap()
	for range MaxRows {
		r, data := unsigned(t, testRecord("somewhere", "1", 0))
		table.put(r, data, 0, r.Peer, false)
	}
	grown := heap() - before
	t.Logf("%d rows, %d bytes of records: %d bytes of memory", len(table.rows), table.bytes, grown)
	if grown > 6<<20 {
		t.Errorf("%d bytes of memory for %d rows", grown, len(table.rows))
	}
	runtime.KeepAlive(table)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
