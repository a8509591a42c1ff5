package runtime

import "context"

// Checker runs golden sets; golden.Checker is the real one.
type Checker interface {
	// Check runs every case of the golden set in the folder dir on s, and tells
	// how each output compares with what is expected. An output that is too far
	// off is told in the report, and by an error that wraps ErrGolden; so is a set
	// that is malformed. Other errors are those of Session.Run.
	Check(ctx context.Context, dir string, s Session) ([]GoldenCheck, error)
	// Inputs returns the inputs of the set's first case, for a model with that
	// signature, to warm a session up. Errors wrap ErrGolden.
	Inputs(dir string, s Signature) (map[string]Tensor, error)
}

// GoldenCheck is how one output of a model compares with a golden set.
type GoldenCheck struct {
	Output string `json:"output"`
	// Metric is one of element, cosine, top1, mean_abs; see package golden.
	Metric string `json:"metric"`
	// Value is the metric's worst value, or its share, over Cases cases. For
	// element: the largest difference as a multiple of what is allowed, so that 1
	// passes. It is finite; math.MaxFloat64 stands for what cannot be compared.
	Value float64 `json:"value"`
	// Limit is the largest Value that passes, the least for cosine and top1.
	Limit float64 `json:"limit"`
	// MaxAbs is the largest difference of two finite elements.
	MaxAbs float64 `json:"max_abs"`
	Cases  int     `json:"cases"`
	// Worst names the case that Value comes from, where it comes from one.
	Worst string `json:"worst,omitempty"`
	OK    bool   `json:"ok"`
	// Detail says what is wrong where it is no number: a type, a shape.
	Detail string `json:"detail,omitempty"`
}
