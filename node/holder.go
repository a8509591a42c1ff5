package node

import (
	"errors"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/store"
)

// holder is the store as transfer wants it: of a file that was never begun here
// it holds nothing, which is no failure.
type holder struct{ *store.Store }

// Held implements transfer.Holder.
func (h holder) Held(id manifest.FileID) (manifest.Ranges, error) {
	held, err := h.Store.Held(id)
	if errors.Is(err, store.ErrNotHeld) {
		return nil, nil
	}
	return held, err
}
