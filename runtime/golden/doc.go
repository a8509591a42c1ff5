// Package golden reads, writes and runs golden sets: inputs of a model with the
// outputs that its publisher expects of them.
//
// # Layout
//
// The layout is the one of ONNX's own backend tests, so that the sets of the
// model zoo and of onnxruntime's tools work as they are:
//
//	test_data_set_0/input_0.pb    a TensorProto each
//	test_data_set_0/output_0.pb
//	test_data_set_1/...
//	golden.json                   optional: a metric and a bound per output
//
// A set of one case may do without the folder test_data_set_0. Tensors belong
// to the inputs and outputs that they are named after; where one of a case has
// no name, or one that the model does not have, file i is input i of the model,
// as in ONNX's tests. Not every output has to be there.
//
// # Metrics
//
// Without golden.json every element e must be near the expected one w, as
// NumPy's assert_allclose has it: |e-w| <= atol + rtol*|w|, NaN equals NaN, and
// infinities are equal or not. Two machines do not add numbers in one order, so
// exactness is asked of integers and bools alone:
//
//	f32, f64  rtol 1e-3, atol 1e-5   onnx.backend.test.runner has rtol 1e-3 and
//	                                 atol 1e-7; two optimisation levels of one
//	                                 ONNX Runtime differ by 2e-6 near zero
//	f16       rtol 1e-2, atol 1e-3   20 roundings of 2^-11
//	bf16      rtol 4e-2, atol 1e-2   20 roundings of 2^-9
//	others    exact
//
// A quantised model differs by a tenth between the kernels of two CPUs, although
// its answers are as good: golden.json names what counts there:
//
//	{"schema": 1, "outputs": {
//	  "prob":   {"metric": "element", "rtol": 0.01, "atol": 0.02},
//	  "logits": {"metric": "top1", "min": 0.99},
//	  "vector": {"metric": "cosine", "min": 0.999},
//	  "mask":   {"metric": "mean_abs", "max": 0.02}}}
//
// The name "*" stands for all outputs that are not named.
//
// # Promised
//
// Files are bounded before they are read, paths stay inside the folder, and what
// is malformed is refused with [ErrSet]. A set that fails is [ErrMismatch], with
// the figures in the report. Strings, sequences, maps and external data are
// refused by name.
package golden
