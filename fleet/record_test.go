package fleet

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/manifest"
)

func bigRecord() Record {
	r := testRecord("site", "1", 0)
	r.Models = nil
	for i := range MaxModels {
		r.Models = append(r.Models, Model{
			Model: manifest.Model(fmt.Sprintf("acme/%s-%02d", strings.Repeat("n", 40), i)), Held: "6.1.0", HeldSequence: 9,
			Wanted: "6.2.0", Active: "6.1.0", State: "failed", Reason: strings.Repeat("why ", 10),
		})
	}
	return r
}

// What does not fit is left out and counted.
func TestSignFits(t *testing.T) {
	node := newStranger(t)
	r := bigRecord()
	r.Peer, r.Epoch, r.Sequence = node.peer, 1, 1
	data, err := sign(node.key, testMesh, &r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := verify(testMesh, data)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > MaxRecordBytes || len(got.Models) == 0 || len(got.Models)+int(got.Omitted) != MaxModels {
		t.Errorf("%d bytes with %d models, %d omitted", len(data), len(got.Models), got.Omitted)
	}
}

// A signed record is of one node, one mesh, and every bit of it counts.
func TestForgery(t *testing.T) {
	node := newStranger(t)
	_, data := node.signed(t, 1, 1)
	if _, err := verify(testMesh, data); err != nil {
		t.Fatal(err)
	}
	if _, err := verify("other", data); !errors.Is(err, ErrRecord) {
		t.Errorf("in another mesh: %v", err)
	}
	for i := range data {
		forged := append([]byte(nil), data...)
		forged[i] ^= 1
		if _, err := verify(testMesh, forged); !errors.Is(err, ErrRecord) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	// Signed with another key than that of the peer it names.
	r := testRecord("site", "1", 0)
	r.Peer, r.Epoch, r.Sequence = node.peer, 9, 9
	data, err := sign(newKey(t), testMesh, &r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(testMesh, data); !errors.Is(err, ErrRecord) {
		t.Errorf("signed by somebody else: %v", err)
	}
	// Keys that do not stand in the peer ID, or are dear to verify.
	key, _, err := crypto.GenerateRSAKeyPair(2048, nil)
	if err == nil {
		if r.Peer, err = peer.IDFromPrivateKey(key); err != nil {
			t.Fatal(err)
		}
		if data, err = sign(key, testMesh, &r); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(testMesh, data); !errors.Is(err, ErrRecord) {
			t.Errorf("RSA: %v", err)
		}
	}
}

// Nothing that a terminal would obey gets into a table.
func TestRecordBounds(t *testing.T) {
	node := newStranger(t)
	for name, edit := range map[string]func(*Record){
		"escape":          func(r *Record) { r.Site = "\x1b[2J" },
		"right to left":   func(r *Record) { r.Site = "a\u202eb" },
		"newline":         func(r *Record) { r.Models[0].Reason = "a\nb" },
		"bad text":        func(r *Record) { r.Software = "\xff" },
		"long site":       func(r *Record) { r.Site = strings.Repeat("s", 65) },
		"long reason":     func(r *Record) { r.Models[0].Reason = strings.Repeat("s", 97) },
		"no model":        func(r *Record) { r.Models[0].Model = "../etc" },
		"no version":      func(r *Record) { r.Models[0].Held = "a b" },
		"no state":        func(r *Record) { r.Models[0].State = "<b>" },
		"progress":        func(r *Record) { r.Models[0].Progress = 1001 },
		"epoch 0":         func(r *Record) { r.Epoch = 0 },
		"last epoch":      func(r *Record) { r.Epoch = maxCounter + 1 },
		"last sequence":   func(r *Record) { r.Sequence = maxCounter + 1 },
		"nobody":          func(r *Record) { r.Peer = "" },
		"too many models": func(r *Record) { r.Models = make([]Model, MaxModels+1) },
		"escape in class": func(r *Record) { r.Class = "\x1b" },
		"outcome":         func(r *Record) { r.Models[0].Tried, r.Models[0].Outcome = 1, Bad+1 },
		"tried, no more":  func(r *Record) { r.Models[0].Tried = 1 },
		"outcome of none": func(r *Record) { r.Models[0].Outcome = Good },
		"order":           func(r *Record) { r.Models = append(r.Models, r.Models[0]) },
	} {
		r := testRecord("site", "1", 0)
		r.Peer, r.Epoch, r.Sequence = node.peer, 1, 1
		edit(&r)
		if _, err := sign(node.key, testMesh, &r); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"no memory":             "no memory",
		"two\n  lines\t\x1b[2J": "two lines [2J",
		"bad \xff text":         "bad text",
		"abcdefghijklmnopqrst":  "abcdef…opqrst",
		"ääääääääääää":          "äää…äää",
	} {
		got := Printable(in, 15)
		if got != want || len(got) > 15 || !utf8.ValidString(got) || text("text", got, 15) != nil {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func writeSaved(t *testing.T, path string, s *savedTable) {
	t.Helper()
	data, err := manifest.Marshal(s, maxFileBytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
