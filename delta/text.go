package delta

import (
	"context"
	"errors"
	"fmt"

	"github.com/dunlin-mesh/dunlin/codec/mix"
	"github.com/dunlin-mesh/dunlin/codec/text"
)

// codeText codes bytes of no known type by context mixing.
func (f *frameCoder) codeText(ctx context.Context, o *op, data []byte) error {
	if f.text == nil {
		old, err := text.NewOld(f.old, f.old.size, text.DefaultBudget)
		if err != nil {
			return err
		}
		f.text = text.NewModel(old, frameBytes)
	}
	err := f.text.Code(ctx, f.c, o.from, data)
	switch {
	case errors.Is(err, mix.ErrEnd) || err == nil && f.c.Err() != nil:
		return fmt.Errorf("%w: %w", ErrDelta, mix.ErrEnd)
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return oldError(err)
	}
	return nil
}
