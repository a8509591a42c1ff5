// Package transfer moves blocks and chunks between peers over
// /dunlin/transfer/1.
package transfer
