// Package api is what programs say to a node on its own machine: HTTP with
// JSON over the Unix socket api.sock in the node's home, readable by its owner
// only. The command line is one such program.
//
// # Shape
//
// A call is a POST of one JSON object to /v1/NAME, or a GET without one. An
// answer is a stream of lines, each one JSON [Event]: any number of progress
// events, then exactly one with a result or an error. So a long call shows how
// far it is, and a short one is a stream of one line.
//
// # One path, with or without a running node
//
// [Dial] finds a running node's socket. Where no node runs, the command line
// opens the home itself and calls the very same handlers inside its process
// through [Local]; calls that need the network then answer [CodeUnreachable].
//
// Anything may import this package; it imports only manifest and runtime, for
// their nouns.
package api
