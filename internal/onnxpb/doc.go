// Package onnxpb is the published schema of ONNX (onnx-ml.proto, the superset
// of onnx.proto that the onnx package itself is built with) as Go types, and
// the only generated copy of it in this module.
//
// Use it where whole messages are read or written: tensors of golden sets,
// small models. The chunker scans models of any size in place instead and does
// not need it. The protobuf package is called dunlin.onnx, so that a program
// that links another copy of the schema does not find the same names twice in
// the registry; on the wire nothing differs.
//
// What is decoded here is hostile until its caller has checked it: protobuf
// bounds nothing but the input's length. onnx.proto is licensed under
// Apache-2.0 by the ONNX project contributors.
package onnxpb

//go:generate sh generate.sh
