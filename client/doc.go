// Package client asks a Dunlin node, or any other server of the Open Inference
// Protocol version 2, to run models over gRPC; and it picks, of a stream of
// frames, those that are worth asking about.
//
//	c, err := client.New(client.Config{Address: "127.0.0.1:8001"})
//	defer c.Close()
//	var samples client.Tensor
//	client.Set(&samples, "input", []int64{1, 512}, window)
//	result, err := c.Infer(ctx, client.Request{Model: "acme/vad", Inputs: []client.Tensor{samples}})
//	speech, err := client.Get[float32](nil, result.Output("output"))
//
// # Deadlines
//
// A context's deadline travels with the request; when it passes, Infer returns
// and the node stops the run. Without one a request may wait for ever.
//
// # Buffers
//
// [Set] and [SetBytes] write into the memory that a tensor has already, [Get]
// into the slice it is given. Infer has read the inputs when it returns; what a
// [Result] holds belongs to the caller.
//
// # Frames
//
// Cameras look at what does not change most of the time. A [Sampler] compares
// each frame with the last one that it kept, on a small grid of luma, and says
// whether it is worth sending; it counts what that saved. It needs no client.
//
// # Not promised
//
// Retries: [ErrOverloaded] and [ErrUnavailable] say that trying again makes
// sense. Privacy: the connection is not encrypted, it is meant for the same
// machine or a network that is trusted.
package client
