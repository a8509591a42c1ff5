package trust

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dunlin-mesh/dunlin/internal/durable"
	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// How long signed metadata is good for. Root, targets and the roles of models
// are re-signed rarely and hold long; freshness is the business of snapshot
// and timestamp, which every Sign and Refresh renews.
const (
	RootLifetime    = 10 * 365 * 24 * time.Hour
	TargetsLifetime = 10 * 365 * 24 * time.Hour
	FreshLifetime   = 365 * 24 * time.Hour
)

// KeptReleases is how many releases the role of a model lists: the newest by
// sequence. A registry remembers older ones. With three, the update of a
// publisher with one model stays under 2000 bytes for ordinary names.
const KeptReleases = 3

// Signer holds a publisher's key and everything it has signed. It is safe for
// concurrent use, and one process at a time has a folder open.
//
// A publisher must never sign two contents under one version. So what a Signer
// signs is on disk, durably, before any of it leaves: a crash loses it
// altogether or keeps it whole. Should writing fail half-way, the Signer signs
// nothing more until it is opened again. Copying the folder and signing with
// both copies, or going back to an old backup and signing, breaks this; after
// a restore call Adopt with what the mesh holds. So that this is not forgotten,
// the folder remembers on which node it signed last, its seat, and signs for no
// other one before Settle.
type Signer struct {
	dir  string
	key  ed25519.PrivateKey
	lock io.Closer

	mu     sync.Mutex
	view   *view
	failed error // why nothing more is signed
}

// CreatePublisher makes a key and the first metadata of the publisher name in
// the folder dir, which must not exist or be empty (else ErrExists). The
// folder appears with all that is in it, or not at all; it gets mode 0700, the
// key 0600. Close the Signer when done.
func CreatePublisher(dir, name string, now time.Time) (*Signer, error) {
	if err := manifest.ValidatePublisher(name); err != nil {
		return nil, fmt.Errorf("create publisher: %w", err)
	}
	err := createFolder(dir, func(dir string) error {
		key, err := newKey(filepath.Join(dir, keyFile))
		if err != nil {
			return err
		}
		v, err := firstView(name, key, now.UTC().Truncate(time.Second))
		if err != nil {
			return err
		}
		return v.save(filepath.Join(dir, signerFile))
	})
	if err != nil {
		return nil, fmt.Errorf("create publisher %s: %w", name, err)
	}
	return OpenSigner(dir)
}

// firstView signs the metadata of a publisher without models.
func firstView(name string, key ed25519.PrivateKey, now time.Time) (*view, error) {
	public, err := metadata.KeyFromPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	root := metadata.Root(now.Add(RootLifetime))
	root.Signed.Keys[keyLabel] = public
	for _, role := range root.Signed.Roles {
		role.KeyIDs = []string{keyLabel}
	}
	root.Signed.UnrecognizedFields = map[string]any{publisherField: name}
	signedRoot, err := signDocument(root, key, keyLabel)
	if err != nil {
		return nil, err
	}
	blank := &view{publisher: SumFingerprint(signedRoot)}
	base, err := climb(blank, [][]byte{signedRoot})
	if err != nil {
		return nil, err
	}
	draft := draft{key: key, view: base, now: now}
	return draft.publish()
}

// OpenSigner opens the folder that CreatePublisher made. Errors: ErrState if
// others may read the key or the folder, or if its state is damaged; ErrLocked
// if another process has it open. Close the Signer when done.
func OpenSigner(dir string) (_ *Signer, err error) {
	if err := checkPrivateFolder(dir); err != nil {
		return nil, err
	}
	key, err := readKey(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	if _, err := durable.RemoveTemporary(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, signerFile)
	v, err := loadUnadvised(path)
	if err != nil {
		return nil, fmt.Errorf("open signer: %w: %s: %w; restore the newest backup of this folder, then let the node adopt what the mesh holds before signing", ErrState, path, err)
	}
	public, err := metadata.KeyFromPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("open signer: %w", err)
	}
	if known := v.root.meta.Signed.Keys[keyLabel]; v.timestamp == nil || known == nil || known.Value.PublicKey != public.Value.PublicKey {
		return nil, fmt.Errorf("open signer: %w: %s is not the key of publisher %s", ErrState, filepath.Join(dir, keyFile), v.title())
	}
	return &Signer{dir: dir, key: key, lock: lock, view: v}, nil
}

// Close lets another process use the folder. Everything is durable already.
func (s *Signer) Close() error { return s.lock.Close() }

// Name returns the publisher's name.
func (s *Signer) Name() string { return s.current().name }

// Fingerprint returns what nodes pin.
func (s *Signer) Fingerprint() Fingerprint { return s.current().publisher }

// Root returns root version 1, a JSON file that Registry.Pin takes. Shared,
// not to be changed.
func (s *Signer) Root() []byte { return s.current().roots[0] }

// Head returns the newest head, to be announced.
func (s *Signer) Head() Head {
	h, _ := s.current().head()
	return h
}

// Have says which versions have been signed so far.
func (s *Signer) Have() Have { return s.current().have() }

// Update returns what a node with have lacks, and false if that is nothing.
func (s *Signer) Update(have Have) (Update, bool) {
	u, ok, err := s.current().update(have)
	return u, ok && err == nil // what this very signer has signed is in strict form
}

// Release returns what version of model was signed as; false if it never was.
func (s *Signer) Release(model manifest.Model, version string) (Release, bool) {
	v := s.current()
	rec, ok := v.memories[model.Name()].find(version)
	if !ok || model.Publisher() != v.name {
		return Release{}, false
	}
	return v.release(model.Name(), rec, v.signed), true
}

// Latest returns, for each model in ascending order, the signed release with
// the highest sequence that is not revoked.
func (s *Signer) Latest() []Release {
	v := s.current()
	var latest []Release
	for _, model := range slices.Sorted(maps.Keys(v.roles)) {
		listed := v.roles[model].releases // highest sequence first
		for _, rec := range listed {
			if release := v.release(model, rec, v.signed); !release.Revoked {
				latest = append(latest, release)
				break
			}
		}
	}
	return latest
}

func (s *Signer) current() *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view
}

// Adopt takes over metadata of this publisher that is newer than the folder's
// own, such as after the folder was restored from a backup or the key was used
// elsewhere. It reports whether anything was newer; errors are those of
// Registry.Apply.
func (s *Signer) Adopt(u Update) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := advance(s.view, u.clone(), time.Time{})
	if errors.Is(err, ErrRollback) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("adopt: %w", err)
	}
	if n == s.view {
		return false, nil
	}
	n.tick(n.timestamp.expires.Add(-FreshLifetime)) // when it was signed
	return true, s.commit(n)
}

// maxSeatBytes bounds the name of a seat.
const maxSeatBytes = 128

// Seat returns the name of the node that signed last; "" before anybody has.
func (s *Signer) Seat() string { return s.current().seat }

// Settle makes seat, 1 to 128 bytes, the node that signs from now on. Where
// Seat names another one, first Adopt what the mesh holds: else versions and
// sequences are used twice. Durable when it returns.
func (s *Signer) Settle(seat string) error {
	if len(seat) < 1 || len(seat) > maxSeatBytes {
		return fmt.Errorf("settle: %w: seat of %d bytes, want 1 to %d", ErrMalformed, len(seat), maxSeatBytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view.seat == seat {
		return nil
	}
	n := *s.view
	n.seat = seat
	return s.commit(&n)
}

// commit makes n, which nobody has seen, the state. Call with mu held.
func (s *Signer) commit(n *view) error {
	if s.failed != nil {
		return s.failed
	}
	// Commit point. Before it nothing has left this function's callers, so
	// what was signed never existed; after it a restart finds it.
	if err := n.save(filepath.Join(s.dir, signerFile)); err != nil {
		s.failed = fmt.Errorf("signer of %s: %w; open it again before signing", n.title(), err)
		return s.failed
	}
	s.view = n
	return nil
}
