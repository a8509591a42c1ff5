// Package serve answers local programs that speak the Open Inference Protocol,
// version 2, over REST and gRPC.
package serve
