// Package chunker turns a model file into a [manifest.Layout], which says where
// its tensors lie and so where its chunks begin, and hashes it chunk by chunk.
//
//	l, err := chunker.Layout(ctx, file, size, "vad.onnx", chunker.Options{})
//	sum, err := chunker.Hash(ctx, file, l, nil)
package chunker
