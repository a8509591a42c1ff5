package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dunlin-mesh/dunlin/node/api"
	"github.com/dunlin-mesh/dunlin/testnet"
)

// node is a process of the binary that serves models, and publishes them.
type node struct {
	fleet *testnet.Fleet
	*testnet.Node
	http, grpc string
}

// startNode starts a node that serves at free ports of loopback.
func startNode(ctx context.Context, binary, dir string) (_ *node, err error) {
	fleet, err := testnet.New(binary, dir)
	if err != nil {
		return nil, err
	}
	n := &node{fleet: fleet}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if n.Node, err = fleet.Add(ctx, "n", "--preset", "lan"); err != nil {
		return nil, err
	}
	if err := configure(filepath.Join(n.Dir, "config.json")); err != nil {
		return nil, err
	}
	if err := n.Start(ctx); err != nil {
		return nil, err
	}
	if _, err := n.Run(ctx, "publisher", "create", "acme"); err != nil {
		return nil, err
	}
	status, err := n.Status(ctx)
	if err != nil {
		return nil, err
	}
	if status.Serving == nil {
		return nil, errors.New("the node serves no models")
	}
	n.http, n.grpc = status.Serving.HTTP, status.Serving.GRPC
	return n, nil
}

// configure has a home's node serve.
func configure(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	config["serve"] = map[string]string{"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"}
	if text, err = json.Marshal(config); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// publish makes a file the next version of a model that the node follows, and
// returns once it serves.
func (n *node) publish(ctx context.Context, path, model, version string) error {
	if _, err := n.Run(ctx, "follow", model); err != nil {
		return err
	}
	var r api.PublishResult
	if err := n.JSON(ctx, &r, "publish", path, "--model", model, "--version", version); err != nil {
		return err
	}
	_, err := n.Run(ctx, "wait", model+"@"+version, "--timeout", "2m")
	return err
}

func (n *node) close() error { return n.fleet.Close() }
