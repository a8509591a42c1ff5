package delta_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/dunlin-mesh/dunlin/codec"
	"github.com/dunlin-mesh/dunlin/delta"
)

func version(b []byte) delta.Version {
	return delta.Version{R: bytes.NewReader(b), Size: int64(len(b))}
}

func encode(t testing.TB, old, next []byte, opt delta.Options) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := delta.Encode(t.Context(), version(old), version(next), &out, opt); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// known says whether an error is one that Decode promises.
func known(err error) bool {
	for _, want := range []error{delta.ErrDelta, delta.ErrVersion, delta.ErrBasis, delta.ErrResult} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// Whatever a delta holds, decoding ends with one of the errors promised and
// writes no more than the delta says the new file has.
func FuzzDecode(f *testing.F) {
	old, next := modelBytes(1, 3000), modelBytes(2, 3000)
	f.Add(encode(f, old, next, delta.Options{Effort: codec.Strong}))
	f.Add(encode(f, old, next, delta.Options{Effort: codec.Fast}))
	f.Add(encode(f, old, old, delta.Options{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var n counting
		err := delta.Decode(t.Context(), version(old), bytes.NewReader(data), &n, delta.Options{NewSize: int64(len(next))})
		if err != nil && !known(err) {
			t.Errorf("error of no kind: %v", err)
		}
		if int(n) > len(next) {
			t.Errorf("wrote %d bytes of %d", n, len(next))
		}
	})
}

type counting int

func (c *counting) Write(p []byte) (int, error) {
	*c += counting(len(p))
	return len(p), nil
}
