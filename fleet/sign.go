package fleet

import (
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// ErrRecord says that a signed record is malformed, out of bounds or forged:
// drop it; nobody honest passes it on.
var ErrRecord = errors.New("bad node record")

// domain keeps our signatures and digests apart from all others.
const domain = "dunlin/fleet/1\x00"

// envelope is a signed record on the wire.
type envelope struct {
	_         struct{} `cbor:",toarray"`
	Record    []byte   // as canonical dag-cbor
	Signature []byte
}

// sealBytes is what an envelope adds to a record: heads of cbor and an Ed25519
// signature.
const sealBytes = 1 + 3 + 2 + 64

// sign returns r signed for a mesh. Models that do not fit are left out, the
// last ones first; r then says how many. The error wraps [ErrRecord] if r is
// out of bounds in any other way.
func sign(key crypto.PrivKey, mesh string, r *Record) ([]byte, error) {
	block, err := manifest.Encode(r)
	for ; err == nil && len(block.Data)+sealBytes > MaxRecordBytes && len(r.Models) > 0; block, err = manifest.Encode(r) {
		r.Models = r.Models[:len(r.Models)-1]
		r.Omitted++
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	signature, err := key.Sign(signedText(mesh, block.Data))
	if err != nil {
		return nil, fmt.Errorf("sign node record: %w", err)
	}
	data, err := manifest.Marshal(&envelope{Record: block.Data, Signature: signature}, manifest.MaxBlockBytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return data, nil
}

func signedText(mesh string, record []byte) []byte {
	return append([]byte(domain+mesh+"\x00"), record...)
}

// decode reads a signed record without looking at the signature.
func decode(data []byte) (*Record, *envelope, error) {
	e, r := new(envelope), new(Record)
	if err := manifest.Unmarshal(data, e, MaxRecordBytes); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if err := manifest.Decode(e.Record, r); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return r, e, nil
}

// verify reads a signed record of a mesh and checks everything. Only keys that
// stand in the peer ID itself are taken: Ed25519, which all nodes have.
func verify(mesh string, data []byte) (*Record, error) {
	r, e, err := decode(data)
	if err != nil {
		return nil, err
	}
	key, err := r.Peer.ExtractPublicKey()
	if err != nil || key.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("%w: the peer ID is no Ed25519 key", ErrRecord)
	}
	if ok, err := key.Verify(signedText(mesh, e.Record), e.Signature); err != nil || !ok {
		return nil, fmt.Errorf("%w: the signature is not that of %s", ErrRecord, r.Peer)
	}
	return r, nil
}
