// Package serve answers local programs that speak the Open Inference Protocol,
// version 2, over REST and gRPC, so that tritonclient, KServe's clients and
// whatever else speaks it work unchanged.
//
//	server, err := serve.New(ctx, serve.Config{HTTP: "127.0.0.1:8000", GRPC: "127.0.0.1:8001", Models: m, Logger: log})
//	err = server.Run(ctx)
//
// # What is served
//
// Whatever [Models] has, by the names of the mesh: a client asks for acme/vad,
// with or without a version; the slash may be escaped in URLs. Liveness,
// readiness, metadata, Triton's model configuration, inference, statistics and
// the repository index; of the extensions: binary tensor data, statistics,
// model configuration, gzip and deflate both ways, and streams of requests
// (ModelStreamInfer). Formats are in the package wire.
//
// Refused, with an error that says so: loading and unloading (releases decide
// that), shared memory, traces, logging, classification, sequences. Parameters
// that are not known are passed over, as the protocol lets clients send what
// they like; so is priority, which has no levels here.
//
// # Promised
//
// A request is answered whole by one version, and the answer names it. A run
// is stopped when the client's deadline passes: gRPC's, the parameter timeout
// (microseconds), or the end of the connection. A request is bounded in bytes,
// tensors, parameters and depth before it is decoded, their number by
// [Config.MaxRequests], so memory is bounded by what Config says. Raw tensor
// data is copied once, from the connection to where the engine reads it, and
// not at all on the way out. When the server stops, requests under way are
// answered.
//
// # Not promised
//
// Fairness between clients, and any notion of who they are: there is no
// access control. That a request which waits for others is answered in order.
//
// Only node imports this package, and hands it its models; it knows nothing of
// releases, peers or disks.
package serve
