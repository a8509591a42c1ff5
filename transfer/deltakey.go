package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/manifest"
)

// deltaKey names a delta by what it is made of; whoever makes it anew makes the
// same bytes.
type deltaKey struct {
	format uint32
	file   manifest.FileID
	basis  manifest.FileID
	effort codec.Effort
}

// name returns the key as a file's name, without extension.
func (k deltaKey) name() string {
	h := sha256.New()
	h.Write([]byte("dunlin/delta"))
	h.Write(binary.BigEndian.AppendUint32(nil, k.format))
	for _, c := range []manifest.CID{k.file.Layout, k.file.Digests, k.basis.Layout, k.basis.Digests} {
		h.Write(c.Bytes())
	}
	h.Write([]byte{byte(k.effort)})
	return hex.EncodeToString(h.Sum(nil))
}
