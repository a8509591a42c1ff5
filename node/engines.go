package node

import (
	"context"
	"sync"

	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// Runner runs models with one execution provider.
type Runner struct {
	Engine modelrt.Engine
	Prober modelrt.Prober
}

// placed remembers with which provider each model file is to be loaded.
type placed struct {
	mu sync.Mutex
	by map[string]modelrt.Provider
}

// set remembers it for a file; there are as many as candidates were made.
func (p *placed) set(path string, provider modelrt.Provider) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil || len(p.by) > maxFailed {
		p.by = make(map[string]modelrt.Provider)
	}
	p.by[path] = provider
}

func (p *placed) of(path string) modelrt.Provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.by[path]
}

// routed is an engine, and a prober, that takes each file to the runner of its
// provider; what has none goes to the first.
type routed struct {
	first  Runner
	others map[modelrt.Provider]Runner
	placed *placed
}

func (r routed) runner(path string) Runner {
	if other, ok := r.others[r.placed.of(path)]; ok {
		return other
	}
	return r.first
}

// Info implements modelrt.Engine.
func (r routed) Info() modelrt.Info {
	info := r.first.Engine.Info()
	for _, p := range modelrt.Providers() {
		if _, ok := r.others[p]; ok {
			info.Providers = append(info.Providers, p.Full())
		}
	}
	return info
}

// Load implements modelrt.Engine.
func (r routed) Load(ctx context.Context, path string) (modelrt.Session, error) {
	return r.runner(path).Engine.Load(ctx, path)
}

// Probe implements modelrt.Prober.
func (r routed) Probe(ctx context.Context, t modelrt.Trial) (modelrt.Report, error) {
	return r.runner(t.Path).Prober.Probe(ctx, t)
}
