// Package chunker turns a model file into a [manifest.Layout], which says where
// its tensors lie and so where its chunks begin, and hashes it chunk by chunk.
//
//	l, err := chunker.Layout(ctx, file, size, "vad.onnx", chunker.Options{})
//	sum, err := chunker.Hash(ctx, file, l, nil)
//
// [Layouts] does a whole variant, where one file may hold another's tensors.
//
// # Formats
//
// In the order in which they are looked for; Layout.Format has these names.
//
//	gguf         magic number. Versions 2 and 3; block types are "gguf:Q4_K" and
//	             the like, one that is too new is "gguf:NUMBER"
//	zip, npz     magic number. Entries by name; npz if all are .npy. A stored
//	             .npy is its array, all else is bytes
//	npy          magic number
//	tflite       magic number
//	onnx         by its fields, strictly if named .onnx. Initializers and
//	             tensors in node attributes, in subgraphs and functions too.
//	             Packed varints (int32_data, int64_data) are bytes
//	safetensors  by its header, strictly if named .safetensors
//	onnx-data    where an ONNX model beside it says so, see [Layouts]
//	array        by hint, see [Options]
//	bytes        anything else, cut by content (FastCDC); over 64 GiB on a grid
//
// # Promises
//
//   - The same bytes give the same layout on every architecture, for ever: the
//     rules are versioned by [manifest.LayoutSchema], and tests pin the CIDs of
//     real models' layouts. The name decides no more than whether a file that
//     is nearly ONNX or safetensors is an error.
//   - Files are hostile until checked. Every length, count and offset is checked
//     before it is believed; what is read grows with the file at most
//     linearly; memory is bounded whatever the file's size (see [Layout]). A lie
//     is a [*FormatError] that names file and byte. Offsets that lead back,
//     regions that overlap, nesting without end and counts that no file could
//     hold are such lies.
//   - A valid model is never refused for its size or its names: of more tensors
//     than a layout holds the largest stay, and long or unprintable names are
//     made to fit. Empty tensors are left out.
//
// # Not promised
//
// A layout is no proof that a runtime loads the file: what has no bearing on
// where tensors lie, such as the graph, is not looked at. Quantized types are
// named, not understood. Nothing is decompressed, and no pickle is read.
//
// # Why our own readers
//
// The generated FlatBuffers and protobuf code, encoding/json and archive/zip
// hold a file, a string or a directory in memory as large as it claims to be,
// and the FlatBuffers runtime for Go panics on an offset that leads astray.
// What is needed of each format is small; so each has a reader here that goes
// over the file through a cache of 128 KiB.
package chunker
