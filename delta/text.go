package delta

import (
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec/text"
)

// codeText codes bytes of no known type by context mixing.
func (f *frameCoder) codeText(o *op, data []byte) error {
	if f.text == nil {
		old, err := text.NewOld(f.old, f.old.size, text.DefaultBudget)
		if err != nil {
			return err
		}
		f.text = text.NewModel(old, frameBytes)
	}
	if err := f.text.Code(f.c, o.from, data); err != nil {
		return oldError(err)
	}
	if err := f.c.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrDelta, err)
	}
	return nil
}
