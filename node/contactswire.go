package node

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/site"
)

// contactsProtocol is where peers tell each other of others.
const contactsProtocol protocol.ID = "/dunlin/contacts/1"

// Bounds of what a peer may tell.
const (
	maxRecords         = 16
	maxRecordBytes     = 1 << 10
	maxRecordAddresses = 8
	maxContactsBytes   = maxRecords*(maxRecordBytes+site.MaxLabelBytes+16) + 64
	maxByeSeconds      = 24 * 60 * 60
)

// errContacts says that a peer broke the contacts protocol.
var errContacts = errors.New("contacts protocol broken")

// contactsMessage is one of its fields.
type contactsMessage struct {
	Card *card `cbor:"card,omitempty"`
	Bye  *bye  `cbor:"bye,omitempty"`
}

// card is how a node stands, and whom it knows.
type card struct {
	Gateway bool         `cbor:"gateway,omitempty"` // it keeps contact with the outside for its site
	Needy   bool         `cbor:"needy,omitempty"`   // it has hardly any other contact outside
	Known   []signedPeer `cbor:"known,omitempty"`
}

// signedPeer is a peer record in its envelope, as the peer signed it, and the
// label of its site as the teller heard it.
type signedPeer struct {
	_      struct{} `cbor:",toarray"`
	Site   string
	Record []byte
}

// bye says that the sender closes the connection, and asks not to be dialled for
// so long by those who have other contact.
type bye struct {
	Seconds uint32 `cbor:"seconds"`
}

// Validate implements [manifest.Validator].
func (m *contactsMessage) Validate() error {
	switch {
	case (m.Card == nil) == (m.Bye == nil):
		return errors.New("want either a card or a bye")
	case m.Bye != nil && m.Bye.Seconds > maxByeSeconds:
		return fmt.Errorf("bye for %d seconds, at most %d", m.Bye.Seconds, maxByeSeconds)
	case m.Bye != nil:
		return nil
	case len(m.Card.Known) > maxRecords:
		return fmt.Errorf("%d peers, at most %d", len(m.Card.Known), maxRecords)
	}
	for _, k := range m.Card.Known {
		if err := site.ValidateLabel(k.Site); err != nil {
			return err
		}
		if len(k.Record) == 0 || len(k.Record) > maxRecordBytes {
			return fmt.Errorf("peer record of %d bytes, 1 to %d", len(k.Record), maxRecordBytes)
		}
	}
	return nil
}

// writeContacts writes a message with its length before it.
func writeContacts(w io.Writer, m *contactsMessage) error {
	b, err := manifest.Encode(m)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.AppendUvarint(nil, uint64(len(b.Data))), b.Data...))
	return err
}

// readContacts reads one. The error wraps errContacts if the peer is to blame.
func readContacts(r io.Reader) (*contactsMessage, error) {
	in := bufio.NewReaderSize(r, 512)
	length, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, err
	}
	if length > maxContactsBytes {
		return nil, fmt.Errorf("%w: message of %d bytes, at most %d", errContacts, length, maxContactsBytes)
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(in, data); err != nil {
		return nil, err
	}
	m := &contactsMessage{}
	if err := manifest.Decode(data, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errContacts, err)
	}
	return m, nil
}

// told is a checked peer record.
type told struct {
	id    peer.ID
	seq   uint64
	addrs []multiaddr.Multiaddr
	site  string
}

// openRecord checks a record that a peer told: signed by the peer that it is
// about, of sane size. Of its addresses those remain that can be dialled from
// elsewhere: IP addresses with a port, TCP or QUIC, none of them loopback (unless
// loopback is set: the teller is on this machine), link-local, multicast or
// unspecified, no names, no relays of relays. The error wraps errContacts.
func openRecord(s signedPeer, loopback bool) (told, error) {
	envelope, untyped, err := record.ConsumeEnvelope(s.Record, peer.PeerRecordEnvelopeDomain)
	if err != nil {
		return told{}, fmt.Errorf("%w: peer record: %w", errContacts, err)
	}
	r, ok := untyped.(*peer.PeerRecord)
	if !ok || !r.PeerID.MatchesPublicKey(envelope.PublicKey) {
		return told{}, fmt.Errorf("%w: peer record is not signed by the peer that it is about", errContacts)
	}
	t := told{id: r.PeerID, seq: r.Seq, site: s.Site}
	for _, a := range r.Addrs {
		if len(t.addrs) < maxRecordAddresses && dialable(a, loopback) {
			t.addrs = append(t.addrs, a)
		}
	}
	return t, nil
}

// dialable says whether an address that was told may be dialled.
func dialable(a multiaddr.Multiaddr, loopback bool) bool {
	direct, _ := multiaddr.SplitFunc(a, func(c multiaddr.Component) bool { return c.Protocol().Code == multiaddr.P_P2P })
	if direct == nil {
		return false
	}
	var codes []int
	for _, c := range direct {
		codes = append(codes, c.Protocol().Code)
		if (c.Protocol().Code == multiaddr.P_TCP || c.Protocol().Code == multiaddr.P_UDP) && c.Value() == "0" {
			return false
		}
	}
	tcp := len(codes) == 2 && codes[1] == multiaddr.P_TCP
	quic := len(codes) == 3 && codes[1] == multiaddr.P_UDP && codes[2] == multiaddr.P_QUIC_V1
	if (!tcp && !quic) || (codes[0] != multiaddr.P_IP4 && codes[0] != multiaddr.P_IP6) {
		return false
	}
	ip, err := manet.ToIP(direct)
	if err != nil || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || ip.IsInterfaceLocalMulticast() {
		return false
	}
	if ip.To4() != nil && ip.To4()[0] == 255 {
		return false
	}
	if ip.IsLoopback() && !loopback {
		return false
	}
	return len(a) == len(direct) || viaOneRelay(a[len(direct):])
}

// viaOneRelay says whether the rest of an address is /p2p/RELAY/p2p-circuit.
func viaOneRelay(rest multiaddr.Multiaddr) bool {
	return len(rest) == 2 && rest[0].Protocol().Code == multiaddr.P_P2P && rest[1].Protocol().Code == multiaddr.P_CIRCUIT
}
