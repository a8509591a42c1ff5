package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/dunlin-mesh/dunlin/trust"
)

// keyring is the publishers whose keys lie in this home. It remembers their
// roots, so that telling people about a publisher does not open its keys, which
// a release may just be signed with. Safe for concurrent use.
type keyring struct {
	dir string

	mu    sync.Mutex // owns the rest
	roots map[string][]byte
}

// openKeyring reads the roots of all publishers in the home, and has visit look
// at each signer, which is closed after that. Keys that cannot be opened are
// told to log, and to whoever wants to sign with them.
func openKeyring(home string, log *slog.Logger, visit func(*trust.Signer)) (*keyring, error) {
	k := &keyring{dir: filepath.Join(home, publisherName), roots: make(map[string][]byte)}
	entries, err := os.ReadDir(k.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read publishers: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || manifest.ValidatePublisher(e.Name()) != nil {
			continue
		}
		signer, err := k.open(e.Name())
		if err != nil {
			log.Warn("keys of a publisher cannot be used", slog.String("publisher", e.Name()), slog.Any("error", err))
			continue
		}
		k.roots[e.Name()] = signer.Root()
		visit(signer)
		if err := signer.Close(); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// create makes keys and a root for a new publisher and returns the root.
func (k *keyring) create(name, seat string, now time.Time) ([]byte, error) {
	signer, err := trust.CreatePublisher(filepath.Join(k.dir, name), name, now)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	k.roots[name] = signer.Root()
	k.mu.Unlock()
	return signer.Root(), errors.Join(signer.Settle(seat), signer.Close())
}

// open opens the keys of a publisher that was created on this node; the caller
// closes the signer.
func (k *keyring) open(name string) (*trust.Signer, error) {
	if err := manifest.ValidatePublisher(name); err != nil {
		return nil, err
	}
	signer, err := trust.OpenSigner(filepath.Join(k.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("publisher %s has no keys on this node: create it with `dunlin publisher create %s`", name, name)
	}
	return signer, err
}

// root returns the root of a publisher whose keys are here.
func (k *keyring) root(name string) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	root, ok := k.roots[name]
	return root, ok
}
