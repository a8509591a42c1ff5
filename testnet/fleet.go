package testnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Fleet is a set of nodes of one binary, below one folder. Safe for concurrent
// use.
type Fleet struct {
	binary string
	dir    string
	env    []string

	mu    sync.Mutex // owns nodes
	nodes []*Node
}

// New returns an empty fleet. binary is the path of a dunlin executable, dir a
// folder for the homes; keep its path short, since Unix sockets lie in it. env
// are KEY=VALUE settings for every process, besides those of this process.
func New(binary, dir string, env ...string) (*Fleet, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("fleet: %w (make build)", err)
	}
	return &Fleet{binary: binary, dir: dir, env: env}, nil
}

// Add makes a node that is called name: its home, with the further arguments of
// `dunlin init`. It listens on a free TCP port of loopback and does not look
// for others by itself, unless args say otherwise.
func (f *Fleet) Add(ctx context.Context, name string, args ...string) (*Node, error) {
	return f.AddAt(ctx, name, nil, append([]string{"--no-mdns", "--no-contacts", "--listen", "/ip4/127.0.0.1/tcp/0"}, args...)...)
}

// AddAt makes a node as an operator would, with the arguments of `dunlin init`
// and no others. Its process is started with the words of exec in front, such
// as those of a place in a lab.
func (f *Fleet) AddAt(ctx context.Context, name string, exec []string, args ...string) (*Node, error) {
	n := &Node{Name: name, Dir: filepath.Join(f.dir, name), fleet: f, exec: exec}
	if _, err := n.Run(ctx, append([]string{"init"}, args...)...); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes = append(f.nodes, n)
	return n, nil
}

// Nodes returns the nodes in the order in which they were added.
func (f *Fleet) Nodes() []*Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*Node(nil), f.nodes...)
}

// Close stops every node that still runs, and waits for it.
func (f *Fleet) Close() error {
	var errs []error
	for _, n := range f.Nodes() {
		errs = append(errs, n.Stop())
	}
	return errors.Join(errs...)
}
