package golden

import (
	"fmt"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

var (
	// ErrSet: the golden set, or a file of it, is malformed, over a bound, or of
	// another model. Its publisher must make it again. It wraps
	// modelrt.ErrGolden.
	ErrSet = fmt.Errorf("%w: malformed set", modelrt.ErrGolden)

	// ErrMismatch: the model's outputs are not what the golden set expects.
	// Running the same bytes on the same machine again is useless. It wraps
	// modelrt.ErrGolden.
	ErrMismatch = fmt.Errorf("%w: outputs differ", modelrt.ErrGolden)
)
