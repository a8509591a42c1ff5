package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/multiformats/go-multiaddr"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/gossip"
	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/links"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/site"
	"github.com/dunlin-mesh/dunlin/trust"
)

// Preset names a kind of link and tunes everything that depends on it:
// heartbeats, windows, how hard chunks are compressed, which handshake is
// tried first.
type Preset string

// The presets, from the fastest link to the dearest.
const (
	LAN       Preset = "lan"       // 100 Mbit/s and more, nobody counts bytes
	WAN       Preset = "wan"       // megabits, tens of milliseconds
	Narrow    Preset = "narrow"    // tens of kilobits, bytes cost money
	Satellite Preset = "satellite" // kilobits and 600 ms, bytes cost much money
)

// Presets lists them all.
func Presets() []Preset { return []Preset{LAN, WAN, Narrow, Satellite} }

// DefaultPort is the TCP and UDP port that a node listens on.
const DefaultPort = 4617

// Config is what a node's operator decides. It is kept as config.json in the
// node's home; every field may be left out there.
type Config struct {
	// Mesh names the mesh that the node belongs to, in at most 32 bytes: nodes
	// of other meshes are talked to, but their gossip is not heard. Default
	// "dunlin".
	Mesh string `json:"mesh"`
	// Preset is the kind of link that most peers are reached over.
	// Default "wan"; peers on the same subnet are treated as lan by themselves.
	Preset Preset `json:"preset"`
	// Site is a label for the nodes that reach each other without crossing an
	// expensive link, see [site.ValidateLabel]. Peers that show the same one are
	// in this node's site, those that show another one are not, whatever their
	// addresses. Default none: the subnet and the round trip tell.
	Site string `json:"site,omitempty"`
	// SiteGateways is how many members of the site keep contact with the outside,
	// 1 to 8; default 1. The same on all of them.
	SiteGateways int `json:"site_gateways"`
	// Listen are multiaddrs to listen on. Default: TCP and QUIC on port 4617 on
	// every IPv4 and IPv6 interface. The list ["none"] makes a node that only
	// dials.
	Listen []string `json:"listen"`
	// Bootstrap are multiaddrs ending in /p2p/PEERID of nodes to connect to at
	// start, and whenever the connection to them is lost.
	Bootstrap []string `json:"bootstrap,omitempty"`
	// Links are the links to other sites, as `dunlin link set` writes them: which
	// connections each takes, how fast, when and how much may pass. Default: one
	// without bounds, of the class Preset.
	Links []links.Config `json:"links,omitempty"`
	// Priority orders models, by name or pattern, -100 to 100, 0 for all others:
	// while one of a higher priority is fetched over a link, others wait there.
	Priority map[string]int `json:"priority,omitempty"`
	// NoMDNS switches discovery on the local network off.
	NoMDNS bool `json:"no_mdns,omitempty"`
	// NoContacts keeps this node from telling peers of other peers, and from
	// dialling those that it is told of: it knows its bootstrap nodes and whom it
	// met.
	NoContacts bool `json:"no_contacts,omitempty"`
	// QuotaBytes bounds what releases may occupy on disk; 0 for no bound but
	// the disk.
	QuotaBytes uint64 `json:"quota_bytes,omitempty"`
	// MinFreeBytes is what is left free on the disk, whatever a release needs.
	// Default 64 MiB.
	MinFreeBytes uint64 `json:"min_free_bytes"`
	// Expiry says what expired publisher metadata means: "strict" (no change is
	// accepted), "grace" (accepted for Grace longer) or "offline" (accepted,
	// shown as stale; the default, for sites without a clock or a network).
	Expiry string `json:"expiry"`
	// GraceDays is how long expiry is forgiven under "grace"; 0, as the default,
	// is [trust.DefaultGrace], 365 days. For no grace at all say "strict".
	GraceDays int `json:"grace_days,omitempty"`
	// Metrics is a host:port on which Prometheus metrics are served over HTTP,
	// without any access control; empty for only the node's own socket.
	Metrics string `json:"metrics,omitempty"`
	// Serve says where models are served over the Open Inference Protocol; nil for
	// nowhere.
	Serve *ServeConfig `json:"serve,omitempty"`
	// OnnxRuntime is the path of the ONNX Runtime library; empty for the one
	// that setup put in place, or $DUNLIN_ONNXRUNTIME.
	OnnxRuntime string `json:"onnx_runtime,omitempty"`
	// Engine says how models are run.
	Engine EngineConfig `json:"engine,omitzero"`
	// Activation is how a release comes to serve, and goes back.
	Activation Activation `json:"activation,omitzero"`
	// NoRuntime makes a node that carries and serves chunks, and runs nothing.
	NoRuntime bool `json:"no_runtime,omitempty"`
	// Requests bounds requests to models.
	Requests RequestsConfig `json:"requests,omitzero"`
}

// DefaultConfig returns the configuration of a node for which nothing else was
// said.
func DefaultConfig() Config {
	return Config{
		Mesh:         "dunlin",
		Preset:       WAN,
		SiteGateways: site.DefaultGateways,
		Listen:       DefaultListen(),
		MinFreeBytes: 64 << 20,
		Expiry:       "offline",
		GraceDays:    int(trust.DefaultGrace / (24 * time.Hour)),
	}
}

// DefaultListen returns the addresses that a node listens on by default.
func DefaultListen() []string {
	return []string{
		fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", DefaultPort), fmt.Sprintf("/ip4/0.0.0.0/udp/%d/quic-v1", DefaultPort),
		fmt.Sprintf("/ip6/::/tcp/%d", DefaultPort), fmt.Sprintf("/ip6/::/udp/%d/quic-v1", DefaultPort),
	}
}

// Validate checks every field and names the first that is wrong.
func (c Config) Validate() error {
	if err := manifest.ValidatePublisher(c.Mesh); err != nil {
		return fmt.Errorf("mesh: %w", err)
	}
	if len(c.Mesh) > gossip.MaxMeshBytes {
		return fmt.Errorf("mesh: name of %d bytes, at most %d", len(c.Mesh), gossip.MaxMeshBytes)
	}
	if !slices.Contains(Presets(), c.Preset) {
		return fmt.Errorf("preset %q is none of %v", c.Preset, Presets())
	}
	if err := site.ValidateLabel(c.Site); err != nil {
		return err
	}
	if c.SiteGateways < 1 || c.SiteGateways > site.MaxGateways {
		return fmt.Errorf("site_gateways %d is not within 1 and %d", c.SiteGateways, site.MaxGateways)
	}
	if len(c.Listen) == 0 {
		return errors.New(`no listen address: leave "listen" out for the default, or say ["none"] for a node that only dials`)
	}
	if !c.listensNowhere() {
		for _, text := range c.Listen {
			a, err := multiaddr.NewMultiaddr(text)
			if err != nil {
				return fmt.Errorf("listen address %q: %w (want a multiaddr such as /ip4/0.0.0.0/tcp/%d)", text, err, DefaultPort)
			}
			if linkLocal(a) {
				return fmt.Errorf("listen address %q is link-local: listen on /ip6/::/tcp/%d, which takes callers on all interfaces", text, DefaultPort)
			}
		}
	}
	for _, text := range c.Bootstrap {
		info, err := peer.AddrInfoFromString(text)
		if err != nil {
			return fmt.Errorf("bootstrap address %q: %w (want a multiaddr ending in /p2p/PEERID, as `dunlin status` prints it)", text, err)
		}
		for _, a := range info.Addrs {
			if err := validateZone(a); err != nil {
				return fmt.Errorf("bootstrap address %q: %w", text, err)
			}
		}
	}
	if !slices.Contains([]string{"strict", "grace", "offline"}, c.Expiry) {
		return fmt.Errorf("expiry policy %q is none of strict, grace, offline", c.Expiry)
	}
	if c.GraceDays < 0 || c.GraceDays > 36500 {
		return fmt.Errorf("grace_days %d is not within 0 and 36500", c.GraceDays)
	}
	if err := errors.Join(links.Validate(c.Links), validatePriorities(c.Priority), c.Requests.Validate(), c.Engine.validate(), c.Activation.validate()); err != nil {
		return err
	}
	if c.Serve != nil {
		if err := c.Serve.Validate(); err != nil {
			return err
		}
	}
	if c.Metrics != "" {
		if _, _, err := net.SplitHostPort(c.Metrics); err != nil {
			return fmt.Errorf("metrics address %q: %w (want HOST:PORT)", c.Metrics, err)
		}
	}
	return nil
}

func (c Config) listensNowhere() bool { return len(c.Listen) == 1 && c.Listen[0] == "none" }

func (c Config) grace() time.Duration { return time.Duration(c.GraceDays) * 24 * time.Hour }

// ErrNoHome says that a folder is no node's home: make it one with `dunlin
// init`.
var ErrNoHome = errors.New("no node lives here")

const configName = "config.json"

// LoadConfig reads the configuration in the home dir. Unknown fields are
// refused, so that a typing error is not silently ignored. The error wraps
// [ErrNoHome] where there is none.
func LoadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, configName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("%s: %w: run `dunlin init` first, or name another home with --dir", dir, ErrNoHome)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c := DefaultConfig()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func saveConfig(dir string, c Config) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, configName), append(data, '\n'), 0o600)
}
