package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/node/api"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
	"github.com/dunlin-mesh/dunlin/runtime/serve"
)

// Where models are served unless something else is said: on this machine only,
// at the ports that clients of the protocol expect.
const (
	DefaultServeHTTP = "127.0.0.1:8000"
	DefaultServeGRPC = "127.0.0.1:8001"
)

// serveNowhere is the address that switches one half of serving off.
const serveNowhere = "none"

// ServeConfig says where models are served to programs that speak the Open
// Inference Protocol. There is no access control: who reaches an address may
// use the models.
type ServeConfig struct {
	// HTTP and GRPC are host:port addresses; empty for the default, "none" for
	// not at all, port 0 for a free one.
	HTTP string `json:"http,omitempty"`
	GRPC string `json:"grpc,omitempty"`
}

// addresses returns where to listen, each empty for nowhere.
func (c ServeConfig) addresses() (http, grpc string) {
	pick := func(text, fallback string) string {
		switch text {
		case "":
			return fallback
		case serveNowhere:
			return ""
		}
		return text
	}
	return pick(c.HTTP, DefaultServeHTTP), pick(c.GRPC, DefaultServeGRPC)
}

// Validate refuses addresses that are not host:port.
func (c ServeConfig) Validate() error {
	http, grpc := c.addresses()
	if http == "" && grpc == "" {
		return errors.New("serve: both http and grpc are none: leave serve out instead")
	}
	for _, address := range []string{http, grpc} {
		if address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("serve address %q: %w (want HOST:PORT, or none)", address, err)
		}
	}
	return nil
}

// over returns c with the addresses that it leaves out taken from configured,
// which may be nil.
func (c ServeConfig) over(configured *ServeConfig) (*ServeConfig, error) {
	if configured != nil {
		c = ServeConfig{HTTP: cmp.Or(c.HTTP, configured.HTTP), GRPC: cmp.Or(c.GRPC, configured.GRPC)}
	}
	return &c, c.Validate()
}

// newServing opens the addresses at which models are served; nil where nobody
// asked for that.
func (n *Node) newServing(ctx context.Context) (*serve.Server, error) {
	if n.config.Serve == nil {
		return nil, nil
	}
	http, grpc := n.config.Serve.addresses()
	return serve.New(ctx, serve.Config{HTTP: http, GRPC: grpc, Models: models{n}, Version: Version, Logger: n.log})
}

// describeServing tells where models are served; nil for nowhere.
func (net *online) describeServing() *api.Serving {
	if net.serving == nil {
		return nil
	}
	http, grpc := net.serving.Addresses()
	return &api.Serving{HTTP: http, GRPC: grpc}
}

// models is what the node serves: the active release of every model.
type models struct{ node *Node }

// platform is the protocol's name for what runs the models.
const platform = "onnxruntime_onnx"

// Model implements serve.Models.
func (m models) Model(name, version string) (serve.Model, error) {
	info, err := m.active(name, version)
	if err != nil {
		return serve.Model{}, err
	}
	return describeActive(info), nil
}

func describeActive(info modelrt.ActiveInfo) serve.Model {
	return serve.Model{
		Name: info.Model, Version: info.Version, Versions: []string{info.Version},
		Platform: platform, Signature: info.Signature, Ready: true,
	}
}

// active returns the release that serves a model, if it has that version.
func (m models) active(name, version string) (modelrt.ActiveInfo, error) {
	info, ok := m.node.activator.Active(name)
	switch {
	case !ok:
		return info, m.missing(name)
	case version != "" && version != info.Version:
		return info, fmt.Errorf("%w: version %.80q of %s: %s serves", serve.ErrUnknownModel, version, name, info.Version)
	}
	return info, nil
}

// missing says why no release of a model serves.
func (m models) missing(name string) error {
	model, err := manifest.ParseModel(name)
	if err != nil {
		return fmt.Errorf("%w: %w", serve.ErrUnknownModel, err)
	}
	if _, known := m.node.activation(model); !known && !m.node.rules.follows(model) {
		return fmt.Errorf("%w: %s: `dunlin follow %s` brings it here", serve.ErrUnknownModel, model, model)
	}
	return m.node.notActive(api.ModelRequest{Model: model})
}

// Infer implements serve.Models.
func (m models) Infer(ctx context.Context, r serve.Request) (serve.Response, error) {
	info, err := m.active(r.Model, r.Version)
	if err != nil {
		return serve.Response{}, err
	}
	inputs, err := m.node.pictures.tensors(ctx, r.Inputs, info.Signature)
	if err != nil {
		return serve.Response{}, err
	}
	began := time.Now()
	outputs, info, err := m.node.activator.Infer(ctx, r.Model, inputs)
	if err != nil {
		return serve.Response{}, err
	}
	if r.Version != "" && r.Version != info.Version {
		// Another release became active in between, and has answered.
		return serve.Response{}, fmt.Errorf("%w: version %.80q of %s: %s serves by now", serve.ErrUnknownModel, r.Version, r.Model, info.Version)
	}
	return serve.Response{Version: info.Version, Signature: info.Signature, Outputs: outputs, Ran: time.Since(began)}, nil
}

// List implements serve.Models: releases that serve, and those that are
// recorded as active and do not.
func (m models) List() []serve.Model {
	var out []serve.Model
	for _, status := range m.node.activator.Status() {
		switch {
		case status.Active != nil:
			out = append(out, describeActive(*status.Active))
		case status.Recorded != nil:
			out = append(out, serve.Model{
				Name: status.Model, Version: status.Recorded.Version, Versions: []string{status.Recorded.Version},
				Platform: platform, Reason: m.missing(status.Model).Error(),
			})
		}
	}
	return out
}
