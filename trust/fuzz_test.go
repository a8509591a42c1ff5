package trust

import (
	"bytes"
	"os"
	"testing"
)

// fuzzedRegistry follows a publisher, and has everything again for each input.
func fuzzedRegistry(f *testing.F) (*Registry, *repo, Update) {
	repo := newRepo(f)
	repo.model("vad").release("1", 1, "one")
	u := repo.update()
	r := newRegistry(f, repo.roots[0])
	must(r.Apply(u.Publisher, u))
	repo.models["vad"].release("2", 2, "two")
	repo.bump("m-vad")
	return r, repo, repo.update()
}

// Whatever decodes re-encodes byte for byte.
func FuzzDecodeHead(f *testing.F) {
	_, _, u := fuzzedRegistry(f)
	f.Add(must(Head{u.Publisher, 1, u.Timestamp}.Encode()))
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := DecodeHead(data)
		if err != nil {
			return
		}
		if again, err := h.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x re-encodes as %x (%v)", data, again, err)
		}
	})
}

func FuzzDecodeHave(f *testing.F) {
	f.Add(must(Have{1, 2, 3, 4, 5}.Encode()))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := DecodeHave(data)
		if err != nil {
			return
		}
		if again, err := h.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x re-encodes as %x (%v)", data, again, err)
		}
	})
}

func FuzzDecodeUpdate(f *testing.F) {
	_, _, u := fuzzedRegistry(f)
	f.Add(must(u.Encode()))
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := DecodeUpdate(data)
		if err != nil {
			return
		}
		if again, err := u.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x re-encodes as %x (%v)", data, again, err)
		}
	})
}

// No document makes a decoder panic, and what it accepts is canonical.
func FuzzDocuments(f *testing.F) {
	_, repo, u := fuzzedRegistry(f)
	for _, doc := range [][]byte{repo.roots[0], u.Timestamp, u.Snapshot, u.Targets, u.Roles[0].Data} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if root, err := decodeRoot(data); err == nil {
			_ = root.meta.VerifyDelegate("root", root.meta)
			again := must(root.meta.ToBytes(false))
			if !bytes.Equal(again, data) {
				t.Fatalf("%s re-encodes as %s", data, again)
			}
		}
		_, _ = decodeTimestamp(data)
		_, _ = decodeSnapshot(data)
		_, _ = decodeTargets(data)
		_, _, _ = decodeModelRole("vad", data)
	})
}

// Without the key no bytes change what is believed.
func FuzzApply(f *testing.F) {
	r, _, u := fuzzedRegistry(f)
	f.Add(u.Timestamp, u.Snapshot, u.Targets, u.Roles[0].Data)
	f.Fuzz(func(t *testing.T, timestamp, snapshot, targets, role []byte) {
		if bytes.Equal(timestamp, u.Timestamp) && bytes.Equal(snapshot, u.Snapshot) && bytes.Equal(role, u.Roles[0].Data) {
			return
		}
		forged := Update{Publisher: u.Publisher, Timestamp: timestamp, Snapshot: snapshot, Targets: targets, Roles: []Role{{"m-vad", role}}}
		if changed, _ := r.Apply(u.Publisher, forged); changed {
			t.Fatalf("believed %s", timestamp)
		}
		if verdict, err := r.CheckHead(Head{u.Publisher, 1, timestamp}); err == nil && verdict == HeadNew && !bytes.Equal(timestamp, u.Timestamp) {
			t.Fatalf("a new head without the key: %s", timestamp)
		}
	})
}

// A state file is the disk's word: it may be anything.
func FuzzState(f *testing.F) {
	r, _, u := fuzzedRegistry(f)
	f.Add(must(os.ReadFile(r.path(u.Publisher)))[len(stateMagic)+32:])
	f.Fuzz(func(t *testing.T, body []byte) {
		var s state
		if decode(body, &s, maxStateBytes) == nil {
			_, _ = s.view()
		}
	})
}
