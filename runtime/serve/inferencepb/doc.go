// Package inferencepb is the Open Inference Protocol's gRPC interface in Go:
// the messages and the service GRPCInferenceService of the protobuf package
// inference, generated.
//
// The source is the published grpc_service.proto of Triton, with the
// model_config.proto that it imports; KServe's open_inference_grpc.proto is a
// part of it with equal names and numbers. Its descriptors are taken out of the
// tritonclient package on PyPI, pinned by version and digest in gen.go:
//
//	go generate ./runtime/serve/inferencepb
//
// needs python3 with pip and makes every .pb.go file here again, byte for byte.
// Nothing here is written by hand save this comment and gen.go.
//
// The protobuf package must be called inference: the name is part of the
// method names on the wire. So a program that links another Go package
// generated from the same files cannot link this one too.
package inferencepb

//go:generate go run gen.go
