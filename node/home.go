package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	modelrt "github.com/dunlin-mesh/dunlin/runtime"
)

// What lies in a node's home.
const (
	keyName       = "node.key" // libp2p identity, protobuf form, ed25519
	followName    = "follow.json"
	bookName      = "peers.json" // addresses remembered
	storeName     = "store"
	trustName     = "trust"
	publisherName = "publishers"
	runtimeName   = "runtime"
	compiledName  = "compiled"   // in the cache: of execution providers
	cacheName     = "cache"      // may be removed while no node runs
	fleetName     = "fleet"      // what is known of other nodes
	ledgerName    = "links.json" // what links carried by day and month
)

// ErrHomeTaken says that a folder is a node's home already.
var ErrHomeTaken = errors.New("a node lives here already")

// Init makes the folder dir a node's home: identity, configuration, folders.
// An existing home is left alone, with an error that wraps [ErrHomeTaken].
// A crash in between leaves a folder that Init can be called on again: the
// configuration, which makes it a home, is written last.
func Init(dir string, c Config) (peer.ID, error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, configName)); err == nil {
		return "", fmt.Errorf("%s: %w", dir, ErrHomeTaken)
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	key, err := loadKey(dir)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = createKey(dir)
	}
	if err != nil {
		return "", err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("node key: %w", err)
	}
	return id, saveConfig(dir, c)
}

func createKey(dir string) (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make node key: %w", err)
	}
	data, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make node key: %w", err)
	}
	return key, durable.WriteFile(filepath.Join(dir, keyName), data, 0o600)
}

func loadKey(dir string) (crypto.PrivKey, error) {
	path := filepath.Join(dir, keyName)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read node key: %w", err)
	}
	key, err := crypto.UnmarshalPrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("node key %s: %w", path, err)
	}
	return key, nil
}

// CacheDir returns the folder in a home of what is only kept to save time: what
// was measured of the machine, and what execution providers compiled.
func CacheDir(dir string) string { return filepath.Join(dir, cacheName) }

// CompiledDir returns the folder in a home of what an execution provider compiled.
func CompiledDir(dir string, p modelrt.Provider) string {
	return filepath.Join(CacheDir(dir), compiledName, strings.ToLower(string(p)))
}

func ledgerPath(dir string) string { return filepath.Join(dir, ledgerName) }
