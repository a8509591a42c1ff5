package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dunlin-mesh/dunlin/client"
)

// swaps is what releases published under load did to it.
type swaps struct {
	Count int `json:"count"`
	// Before is the load without swaps, During with them.
	Before load `json:"before"`
	During load `json:"during"`
	// Seconds is what all swaps took.
	Seconds float64 `json:"seconds"`
}

// swapClients send during swaps.
const swapClients = 4

// quiet is how long the load without swaps is measured.
const quiet = 20 * time.Second

// swapUnderLoad publishes count releases of silero-vad while clients send.
func (n *node) swapUnderLoad(ctx context.Context, corpus string, count int) (_ *swaps, err error) {
	m := models(corpus)[0]
	c, err := client.New(client.Config{Address: n.grpc})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	callers := make([]caller, swapClients)
	for i := range callers {
		callers[i] = byGRPC(c, m)
	}
	out := &swaps{Count: count, Before: generate(ctx, callers, quiet, nil)}
	done := make(chan struct{})
	during := make(chan load, 1)
	go func() { during <- generate(ctx, callers, time.Hour, done) }()
	began := time.Now()
	for i := range count {
		path := silero(corpus, []string{"v6.0", "v6.2"}[i%2])
		if err = n.publish(ctx, path, m.name, fmt.Sprintf("2.%d.0", i)); err != nil {
			break
		}
	}
	out.Seconds = time.Since(began).Seconds()
	close(done)
	out.During = <-during
	return out, err
}
