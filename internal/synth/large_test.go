package synth

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// TestLarge: a changed head changes the head alone, and noise all.
func TestLarge(t *testing.T) {
	for _, tt := range []struct {
		name  string
		large Large
		width int
		equal bool // the layers
	}{
		{"head of bf16", Large{Layers: 2, Head: 1e-2}, 2, true},
		{"noise on f32", Large{Layers: 1, Wide: true, Noise: 1e-3}, 4, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var old, updated bytes.Buffer
			if err := tt.large.Write(&old, &updated); err != nil {
				t.Fatal(err)
			}
			head := largeHead * largeSide * tt.width
			if n := old.Len() - head - tt.large.Layers*largeSide*largeSide*tt.width; n < 100 || n > 1000 || n%8 != 0 {
				t.Errorf("a header of %d bytes", n)
			}
			a, b := old.Bytes(), updated.Bytes()
			if len(a) != len(b) {
				t.Fatalf("%d and %d bytes", len(a), len(b))
			}
			at := len(a) - head
			if bytes.Equal(a[:at], b[:at]) != tt.equal || bytes.Equal(a[at:], b[at:]) == tt.equal {
				t.Error("the wrong tensors changed")
			}
			checkTensors(t, a, tt.large.Layers+1)
		})
	}
}

func TestLargeReports(t *testing.T) {
	broken := errors.New("disk full")
	if err := (Large{Layers: 1}).Write(&bytes.Buffer{}, failing{broken}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if err := (Large{}).Write(io.Discard, io.Discard); err == nil {
		t.Error("a model of no layers was written")
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
