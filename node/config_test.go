package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/trust"
)

// Each rule of Validate, by a change to a good configuration and by what the
// operator is told.
func TestValidate(t *testing.T) {
	const node = "/p2p/12D3KooWGRUeuNdZLhBdBNYEwYsSUXLaDsWLVcBxbPLkgnTkMyVf"
	for _, test := range []struct {
		change func(*Config)
		says   string // nothing if it is fine
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.Mesh = "" }, "mesh:"},
		{func(c *Config) { c.Mesh = "Upper" }, "mesh:"},
		{func(c *Config) { c.Mesh = strings.Repeat("m", 32) }, ""},
		{func(c *Config) { c.Mesh = strings.Repeat("m", 33) }, "mesh: name of 33 bytes, at most 32"},
		{func(c *Config) { c.Preset = "fast" }, `preset "fast" is none of [lan wan narrow satellite]`},
		{func(c *Config) { c.Site = strings.Repeat("s", 64) }, ""},
		{func(c *Config) { c.Site = strings.Repeat("s", 65) }, "site label of 65 bytes"},
		{func(c *Config) { c.Listen = nil }, "no listen address"},
		{func(c *Config) { c.Listen = []string{"none"} }, ""},
		{func(c *Config) { c.Listen = []string{"none", "/ip4/0.0.0.0/tcp/1"} }, `listen address "none"`},
		{func(c *Config) { c.Listen = []string{"0.0.0.0:4617"} }, "want a multiaddr such as /ip4/0.0.0.0/tcp/4617"},
		{func(c *Config) { c.Bootstrap = []string{"/ip4/10.0.0.1/tcp/4617" + node} }, ""},
		{func(c *Config) { c.Bootstrap = []string{"/ip4/10.0.0.1/tcp/4617"} }, "want a multiaddr ending in /p2p/PEERID"},
		{func(c *Config) { c.Expiry = "never" }, "none of strict, grace, offline"},
		{func(c *Config) { c.Expiry = "strict" }, ""},
		{func(c *Config) { c.GraceDays = -1 }, "grace_days -1"},
		{func(c *Config) { c.GraceDays = 36501 }, "grace_days 36501"},
		{func(c *Config) { c.Metrics = "localhost:9100" }, ""},
		{func(c *Config) { c.Metrics = "9100" }, "want HOST:PORT"},
	} {
		c := DefaultConfig()
		test.change(&c)
		err := c.Validate()
		if (err == nil) != (test.says == "") || (err != nil && !strings.Contains(err.Error(), test.says)) {
			t.Errorf("says %v, want %q", err, test.says)
		}
	}
	for _, p := range Presets() {
		c := DefaultConfig()
		if c.Preset = p; c.Validate() != nil {
			t.Errorf("preset %s is refused", p)
		}
	}
}

// One rule says how long expiry is forgiven, whichever way it is left out.
func TestDefaultGrace(t *testing.T) {
	if got := DefaultConfig().grace(); got != trust.DefaultGrace {
		t.Errorf("a new node forgives %s, a registry %s", got, trust.DefaultGrace)
	}
}

func TestLoadConfig(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"empty object": {`{}`, ""},
		"part":         {`{"site": "ship-7"}`, ""},
		"typing error": {`{"sight": "ship-7"}`, `unknown field "sight"`},
		"no JSON":      {`site = ship-7`, configName},
		"wrong value":  {`{"preset": "fast"}`, "preset"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, configName), []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := LoadConfig(dir)
		if (err == nil) != (test.says == "") || (err != nil && !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
		if err == nil && (c.Mesh != "dunlin" || len(c.Listen) != 4) {
			t.Errorf("%s: defaults are lost: %+v", name, c)
		}
	}
	if _, err := LoadConfig(t.TempDir()); !errors.Is(err, ErrNoHome) {
		t.Errorf("no home: %v", err)
	}
}

// A home is made once. A crash before the end leaves what Init goes on with,
// under the same identity.
func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	bad := quietConfig()
	bad.Mesh = ""
	if _, err := Init(dir, bad); err == nil {
		t.Error("a bad configuration makes a home")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused configuration left something: %v", err)
	}
	first, err := Init(dir, quietConfig())
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{".": 0o700, keyName: 0o600, configName: 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want %o", name, info, err, mode)
		}
	}
	if _, err := Init(dir, quietConfig()); !errors.Is(err, ErrHomeTaken) {
		t.Errorf("the second time: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, configName)); err != nil { // as after a crash
		t.Fatal(err)
	}
	again, err := Init(dir, quietConfig())
	if err != nil || again != first {
		t.Errorf("after a crash: %s, %v, want %s", again, err, first)
	}
	n, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if n.ID() != first {
		t.Errorf("opened as %s, made as %s", n.ID(), first)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"no key":      func(t *testing.T, dir string) { remove(t, filepath.Join(dir, keyName)) },
		"damaged key": func(t *testing.T, dir string) { write(t, filepath.Join(dir, keyName), "key") },
		"rules that are no models": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, followName), `{"follow": ["acme"], "carry": []}`)
		},
		"rules with a typing error": func(t *testing.T, dir string) { write(t, filepath.Join(dir, followName), `{"follows": []}`) },
		"no configuration":          func(t *testing.T, dir string) { remove(t, filepath.Join(dir, configName)) },
	} {
		dir := newHome(t, nil)
		damage(t, dir)
		if n, err := Open(Options{Dir: dir}); err == nil {
			t.Errorf("%s: opens as %s", name, n.ID())
		}
		// Nothing stays locked by the attempt.
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		if _, err := Init(dir, quietConfig()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		n, err := Open(Options{Dir: dir})
		if err != nil {
			t.Errorf("%s: after the repair: %v", name, err)
			continue
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Several addresses of one bootstrap node are one peer to dial.
func TestBootstrapOfOnePeer(t *testing.T) {
	const id = "12D3KooWGRUeuNdZLhBdBNYEwYsSUXLaDsWLVcBxbPLkgnTkMyVf"
	n := &Node{config: quietConfig(), log: discard}
	n.config.Bootstrap = []string{"/ip4/10.0.0.1/tcp/1/p2p/" + id, "/ip4/10.0.0.2/tcp/1/p2p/" + id}
	f, err := n.newFinder(nil, newWatch(true), newRelays(true))
	if err != nil || len(f.bootstrap) != 1 || len(f.bootstrap[0].Addrs) != 2 || f.mdnsName != "" {
		t.Errorf("%+v, %v", f, err)
	}
	if want, err := peer.Decode(id); err != nil || f.bootstrap[0].ID != want {
		t.Errorf("%v, %v", f.bootstrap[0].ID, err)
	}
}
