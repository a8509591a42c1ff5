package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/dunlin-mesh/dunlin/client"
	"github.com/dunlin-mesh/dunlin/runtime/onnx"
)

// clientCounts are how many clients send at once.
func clientCounts() []int { return []int{1, 4} }

// The systems that are measured, by their names in the report.
const (
	systemDirect = "direct"
	systemGRPC   = "grpc"
	systemREST   = "rest_binary"
	systemJSON   = "fastapi_json"
	systemRaw    = "fastapi_raw"
)

// system answers requests.
type system struct {
	name string
	call func() caller // one for each client
}

// measure has every system answer requests to one model.
func measure(ctx context.Context, s settings, n *node, m model) (_ row, err error) {
	if err := n.publish(ctx, m.path, m.name, "1.0.0"); err != nil {
		return row{}, err
	}
	engine, err := onnx.New(onnx.Config{})
	if err != nil {
		return row{}, err
	}
	session, err := engine.Load(ctx, m.path)
	if err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	c, err := client.New(client.Config{Address: n.grpc})
	if err != nil {
		return row{}, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	most := slices.Max(clientCounts())
	// Nobody compresses floats on their way through loopback; Go's client would
	// ask for it.
	transport := &http.Transport{MaxIdleConnsPerHost: most, DisableCompression: true}
	defer transport.CloseIdleConnections()
	web := &http.Client{Transport: transport}
	rest, err := byREST(web, n.http, m)
	if err != nil {
		return row{}, err
	}
	systems := []system{
		{systemDirect, func() caller { return direct(session, m) }},
		{systemGRPC, func() caller { return byGRPC(c, m) }},
		{systemREST, func() caller { return rest }},
	}
	if m.python && !s.skipPython {
		p, err := startPython(ctx, s.python, m.path)
		if err != nil {
			return row{}, err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		systems = append(systems,
			system{systemJSON, func() caller { return post(web, p.url+"/json", jsonHeader(), p.json(m)) }},
			system{systemRaw, func() caller { return post(web, p.url+"/raw", nil, p.raw(m)) }})
	}
	return rounds(ctx, s, m, systems)
}

// rounds lets the systems take turns, and keeps the best round of each.
func rounds(ctx context.Context, s settings, m model, systems []system) (row, error) {
	out := row{Model: m.name, Large: m.large, Systems: make(map[string][]load)}
	for _, clients := range clientCounts() {
		best := make([]load, len(systems))
		for range s.rounds {
			for i, system := range systems {
				callers := make([]caller, clients)
				for j := range callers {
					callers[j] = system.call()
					if err := callers[j](ctx); err != nil { // connections, and shapes seen first
						return out, fmt.Errorf("%s: %w", system.name, err)
					}
				}
				l := generate(ctx, callers, s.round, nil)
				if l.failure != nil {
					return out, fmt.Errorf("%s: %d of %d requests failed: %w", system.name, l.Failed, l.Failed+l.Requests, l.failure)
				}
				if l.PerSecond > best[i].PerSecond {
					best[i] = l
				}
			}
		}
		for i, system := range systems {
			out.Systems[system.name] = append(out.Systems[system.name], best[i])
		}
	}
	return out, ctx.Err()
}
