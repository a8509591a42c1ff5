package delta

import (
	"io"

	"github.com/dunlin-mesh/dunlin/codec/mix"
)

// transform says how old bytes become the basis of an array. The zero value
// leaves them as they are.
type transform struct{}

func (t *transform) code(c *mix.Coder, p *planCoder, o *op) error { return nil }

// read fills basis with the basis of o's bytes from offset at on.
func (t *transform) read(old io.ReaderAt, o *op, at int64, basis []byte) error {
	return readFull(old, basis, o.from+at)
}
