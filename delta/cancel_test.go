package delta

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
)

// watched is a context that counts how often it is looked at and is cancelled
// at a given look, unless that is 0.
type watched struct {
	context.Context
	looks, last int
}

func (w *watched) Err() error {
	if w.looks++; w.last > 0 && w.looks >= w.last {
		return context.Canceled
	}
	return nil
}

// Whoever codes a frame looks at its context at least each 256 KiB of numbers,
// 1 MiB of planes and blocks, and 4 KiB of text, and is done at the first look
// that finds it cancelled: a node stops within a moment of being told to,
// whatever it codes.
func TestCancelledFrame(t *testing.T) {
	const size = 2 << 20
	sparseOld, sparseNext := nudged(codec.Int8, size, 50)
	words := []byte(strings.Repeat("a model's graph, its names and its sources. ", 256<<10/44))
	tests := []struct {
		name      string
		class     codec.Class
		effort    codec.Effort
		old, next []byte
		step      int // bytes between two looks, at most
	}{
		{"array", codec.F32, codec.Strong, weightBytes(1, size/4), weightBytes(2, size/4), arrayBytes},
		{"sparse", codec.Int8, codec.Strong, sparseOld, sparseNext, sparseBytes},
		{"planes", codec.F32, codec.Fast, weightBytes(1, size/4), weightBytes(2, size/4), planeBytes},
		{"block", codec.Other, codec.Strong, nil, randomBytes(1, size), planeBytes},
		{"text", codec.Other, codec.Strong, words, words, 4 << 10},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := &encoder{opt: Options{Effort: test.effort}, old: openView(t, test.old), next: openView(t, test.next)}
			p := piece{size: int64(len(test.next)), from: -1, region: &region{class: test.class}}
			if test.old != nil {
				p.from = 0
			}
			var payload []byte
			way := map[string]func(context.Context) error{
				"encode": func(ctx context.Context) (err error) {
					payload, err = e.frame(ctx, &job{pieces: []piece{p}})
					return err
				},
				"decode": func(ctx context.Context) error {
					_, err := decodeFrame(ctx, e.old, nil, payload, int64(len(test.next)), &e.planes)
					return err
				},
			}
			for _, name := range []string{"encode", "decode"} {
				whole := &watched{Context: t.Context()}
				if err := way[name](whole); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if least := len(test.next) / test.step; whole.looks < least {
					t.Errorf("%s: %d looks at the context, at least %d wanted", name, whole.looks, least)
				}
				half := &watched{Context: t.Context(), last: max(whole.looks/2, 1)}
				kept := payload
				if err := way[name](half); !errors.Is(err, context.Canceled) || errors.Is(err, ErrDelta) || half.looks > half.last+3 {
					t.Errorf("%s: %v after %d looks, cancelled at the %d. of %d", name, err, half.looks, half.last, whole.looks)
				}
				payload = kept
			}
		})
	}
}
