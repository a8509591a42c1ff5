package node

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// sealed returns a record about a peer at the addresses, signed by itself, or by
// somebody else if forged.
func sealed(t testing.TB, forged bool, seq uint64, texts ...string) (peer.ID, []byte) {
	t.Helper()
	key, pub, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	if forged {
		if key, _, err = crypto.GenerateEd25519Key(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	envelope, err := record.Seal(&peer.PeerRecord{PeerID: id, Seq: seq, Addrs: addrs(texts...)}, key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return id, data
}

func TestContactsMessages(t *testing.T) {
	_, data := sealed(t, false, 1, "/ip4/11.0.0.1/tcp/1")
	for name, test := range map[string]struct {
		m  contactsMessage
		ok bool
	}{
		"an empty card":        {contactsMessage{Card: &card{}}, true},
		"a card":               {contactsMessage{Card: &card{Gateway: true, Needy: true, Known: []signedPeer{{Site: "quay", Record: data}}}}, true},
		"a bye":                {contactsMessage{Bye: &bye{Seconds: 3600}}, true},
		"nothing":              {contactsMessage{}, false},
		"both":                 {contactsMessage{Card: &card{}, Bye: &bye{}}, false},
		"too long a bye":       {contactsMessage{Bye: &bye{Seconds: maxByeSeconds + 1}}, false},
		"too many peers":       {contactsMessage{Card: &card{Known: slices.Repeat([]signedPeer{{Record: data}}, maxRecords+1)}}, false},
		"as many as there may": {contactsMessage{Card: &card{Known: slices.Repeat([]signedPeer{{Record: make([]byte, maxRecordBytes)}}, maxRecords)}}, true},
		"too large a record":   {contactsMessage{Card: &card{Known: []signedPeer{{Record: make([]byte, maxRecordBytes+1)}}}}, false},
		"an empty record":      {contactsMessage{Card: &card{Known: []signedPeer{{}}}}, false},
		"a label too long":     {contactsMessage{Card: &card{Known: []signedPeer{{Site: strings.Repeat("x", 65), Record: data}}}}, false},
	} {
		var buf bytes.Buffer
		err := writeContacts(&buf, &test.m)
		if (err == nil) != test.ok {
			t.Errorf("%s: written: %v", name, err)
			continue
		}
		if !test.ok {
			continue
		}
		if buf.Len() > maxContactsBytes+3 {
			t.Errorf("%s: %d bytes", name, buf.Len())
		}
		if _, err := readContacts(bytes.NewReader(buf.Bytes())); err != nil {
			t.Errorf("%s: read: %v", name, err)
		}
	}
	if _, err := readContacts(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0x7f})); !errors.Is(err, errContacts) {
		t.Errorf("a message without end: %v", err)
	}
}

// What a card costs: nothing new is a few bytes, one peer about 230.
func TestCardsAreSmall(t *testing.T) {
	_, data := sealed(t, false, 1<<60, "/ip4/11.0.0.1/tcp/4617", "/ip4/11.0.0.1/udp/4617/quic-v1", "/ip6/2001:db8::1/tcp/4617", "/ip6/2001:db8::1/udp/4617/quic-v1")
	for name, test := range map[string]struct {
		m    contactsMessage
		most int
	}{
		"no news":  {contactsMessage{Card: &card{Gateway: true}}, 20},
		"one peer": {contactsMessage{Card: &card{Gateway: true, Known: []signedPeer{{Site: "quay", Record: data}}}}, 320},
		"bye":      {contactsMessage{Bye: &bye{Seconds: 3600}}, 24},
	} {
		var buf bytes.Buffer
		if err := writeContacts(&buf, &test.m); err != nil || buf.Len() > test.most {
			t.Errorf("%s: %d bytes, want at most %d (%v)", name, buf.Len(), test.most, err)
		}
	}
}

// Of what a record says remains what can be dialled from here without harm to
// others; who did not sign it is not believed.
func TestOpenRecord(t *testing.T) {
	const via = "/p2p/12D3KooWCWHSSY57AxAfzJ5uDYwPsCHREw2q7hwNm4Asj5benZau/p2p-circuit"
	good := []string{"/ip4/11.0.0.1/tcp/4617", "/ip4/11.0.0.1/udp/4617/quic-v1", "/ip6/2001:db8::1/tcp/4617", "/ip4/10.1.2.3/tcp/1", "/ip4/11.0.0.1/tcp/4617" + via}
	bad := []string{
		"/ip4/127.0.0.1/tcp/22", "/ip6/::1/tcp/22", "/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1", "/ip4/224.0.0.1/udp/1/quic-v1", "/ip4/255.255.255.255/tcp/1",
		"/ip6/ff02::1/tcp/1", "/ip6/fe80::1/tcp/1", "/ip6zone/eth0/ip6/fe80::1/tcp/1", "/ip4/169.254.1.1/tcp/1", "/ip4/11.0.0.1/tcp/0",
		"/dns4/victim.example/tcp/1", "/ip4/11.0.0.1/tcp/1/ws", "/ip4/11.0.0.1/udp/1", "/ip4/11.0.0.1/tcp/1" + via + via, via, "/ip4/11.0.0.1/tcp/1/p2p-circuit", "/ip4/11.0.0.1",
	}
	for _, address := range bad {
		_, data := sealed(t, false, 5, address)
		if got, err := openRecord(signedPeer{Record: data}, false); err != nil || len(got.addrs) != 0 {
			t.Errorf("%s: would be dialled: %v, %v", address, got.addrs, err)
		}
	}
	id, data := sealed(t, false, 5, append(slices.Clone(bad[:3]), good...)...)
	got, err := openRecord(signedPeer{Site: "quay", Record: data}, false)
	if err != nil || got.id != id || got.seq != 5 || got.site != "quay" || len(got.addrs) != len(good) {
		t.Errorf("%+v, %v", got, err)
	}
	_, data = sealed(t, false, 5, "/ip4/127.0.0.1/tcp/22")
	if got, err := openRecord(signedPeer{Record: data}, true); err != nil || len(got.addrs) != 1 {
		t.Errorf("on one machine: %+v, %v", got, err)
	}
	_, data = sealed(t, false, 5, slices.Repeat(good, 20)...)
	if got, err := openRecord(signedPeer{Record: data}, false); err != nil || len(got.addrs) != maxRecordAddresses {
		t.Errorf("%d addresses, %v", len(got.addrs), err)
	}
	_, forged := sealed(t, true, 5, good...)
	for name, data := range map[string][]byte{"signed by another": forged, "cut": data[:len(data)-3], "empty": nil, "rubbish": []byte("rubbish")} {
		if _, err := openRecord(signedPeer{Record: data}, false); !errors.Is(err, errContacts) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever comes, reading it ends without a panic, within bounds; what is
// accepted is written the same way again.
func FuzzContacts(f *testing.F) {
	_, data := sealed(f, false, 1, "/ip4/11.0.0.1/tcp/1")
	for _, m := range []contactsMessage{{Card: &card{}}, {Card: &card{Needy: true, Known: []signedPeer{{Site: "quay", Record: data}}}}, {Bye: &bye{Seconds: 9}}} {
		b, err := manifest.Encode(&m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b.Data)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = openRecord(signedPeer{Record: data}, false)
		m := &contactsMessage{}
		if manifest.Decode(data, m) != nil {
			return
		}
		b, err := manifest.Encode(m)
		if err != nil || !bytes.Equal(b.Data, data) {
			t.Fatalf("read %x, would write %x (%v)", data, b.Data, err)
		}
		if m.Card != nil {
			for _, k := range m.Card.Known {
				if got, err := openRecord(k, false); err == nil && len(got.addrs) > maxRecordAddresses {
					t.Fatalf("%d addresses", len(got.addrs))
				}
			}
		}
	})
}
