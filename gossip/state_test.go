package gossip

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/dunlin-mesh/dunlin/trust"
)

// author is a publisher of the tests: what package trust does with TUF, in a
// few lines, with real signatures and documents of realistic size.
type author struct {
	name string
	key  ed25519.PrivateKey
	root []byte // "root " and the public key
	held pinned
}

// pinned is what a memoryState or an author holds of one publisher.
type pinned struct {
	root      []byte
	timestamp []byte
	version   int64
	snapshot  []byte
	roles     map[string][]byte
}

// index is the content of a snapshot: the version and digest of each role.
type index map[string]struct {
	Version int64
	Digest  [32]byte
}

// timestampBytes is the size of the smallest timestamp that TUF knows.
const timestampBytes = 380

func newAuthor(name string) *author {
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:])
	root := append([]byte("root "), key.Public().(ed25519.PublicKey)...)
	return &author{name: name, key: key, root: root, held: pinned{root: root, roles: map[string][]byte{}}}
}

func (a *author) fingerprint() trust.Fingerprint { return trust.SumFingerprint(a.root) }

// release signs new content for a model.
func (a *author) release(model string, size int) {
	a.held.version++
	data := make([]byte, size)
	copy(data, fmt.Sprintf("%s of %s in version %d", model, a.name, a.held.version))
	a.held.roles["m-"+model] = data
	all := index{}
	if a.held.snapshot != nil {
		_ = json.Unmarshal(a.held.snapshot, &all)
	}
	entry := all["m-"+model]
	entry.Version, entry.Digest = a.held.version, sha256.Sum256(data)
	all["m-"+model] = entry
	a.held.snapshot, _ = json.Marshal(all)
	a.held.timestamp = a.sign(a.held.version, a.held.snapshot)
}

func (a *author) sign(version int64, snapshot []byte) []byte {
	sum := sha256.Sum256(snapshot)
	body := append(binary.BigEndian.AppendUint64(nil, uint64(version)), sum[:]...)
	signed := append(body, ed25519.Sign(a.key, body)...)
	return append(signed, bytes.Repeat([]byte{' '}, timestampBytes-len(signed))...)
}

func (a *author) head() trust.Head {
	return trust.Head{Publisher: a.fingerprint(), Root: 1, Timestamp: a.held.timestamp}
}

func (a *author) update(have trust.Have) (trust.Update, bool, error) {
	return a.held.update(a.fingerprint(), have)
}

func (p *pinned) update(fp trust.Fingerprint, have trust.Have) (trust.Update, bool, error) {
	if p.version == 0 || have.Timestamp >= p.version {
		return trust.Update{}, false, nil
	}
	u := trust.Update{Publisher: fp, Timestamp: p.timestamp, Snapshot: p.snapshot}
	if have.Root == 0 {
		u.Roots = [][]byte{p.root}
	}
	var all index
	if err := json.Unmarshal(p.snapshot, &all); err != nil {
		return trust.Update{}, false, err
	}
	for _, name := range slices.Sorted(maps.Keys(p.roles)) {
		if all[name].Version > have.Snapshot {
			u.Roles = append(u.Roles, trust.Role{Name: name, Data: p.roles[name]})
		}
	}
	return u, true, nil
}

// verify checks a timestamp and returns its version and snapshot digest.
func (p *pinned) verify(timestamp []byte) (version int64, snapshot []byte, err error) {
	if len(timestamp) != timestampBytes {
		return 0, nil, trust.ErrMalformed
	}
	if !ed25519.Verify(p.root[len("root "):], timestamp[:40], timestamp[40:40+ed25519.SignatureSize]) {
		return 0, nil, trust.ErrForged
	}
	version = int64(binary.BigEndian.Uint64(timestamp))
	if version == p.version && !bytes.Equal(timestamp, p.timestamp) {
		return version, nil, trust.ErrEquivocation
	}
	return version, timestamp[8:40], nil
}

// memoryState is a State in memory. It keeps the promises of the interface as
// trust.Registry does.
type memoryState struct {
	mu      sync.Mutex
	pins    map[trust.Fingerprint]*pinned
	asked   int // calls of Update
	applied int // changes
}

// stateOf pins authors by their roots and holds all that they have signed.
func stateOf(authors ...*author) *memoryState {
	s := &memoryState{pins: make(map[trust.Fingerprint]*pinned)}
	for _, a := range authors {
		held := a.held
		held.roles = maps.Clone(a.held.roles)
		s.pins[a.fingerprint()] = &held
	}
	return s
}

// pinsOf pins authors by fingerprint and holds nothing.
func pinsOf(authors ...*author) *memoryState {
	s := &memoryState{pins: make(map[trust.Fingerprint]*pinned)}
	for _, a := range authors {
		s.pins[a.fingerprint()] = &pinned{roles: map[string][]byte{}}
	}
	return s
}

// rootsOf pins authors by root and holds nothing else.
func rootsOf(authors ...*author) *memoryState {
	s := pinsOf(authors...)
	for _, a := range authors {
		s.pins[a.fingerprint()].root = a.root
	}
	return s
}

func (s *memoryState) version(a *author) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pins[a.fingerprint()].version
}

// take copies what a has signed, as a publisher's own node does.
func (s *memoryState) take(t *testing.T, a *author) {
	t.Helper()
	u, ok, err := a.update(s.Have(a.fingerprint()))
	if err != nil || !ok {
		t.Fatalf("update of %s: %t, %v", a.name, ok, err)
	}
	if _, err := s.Apply(a.fingerprint(), u); err != nil {
		t.Fatal(err)
	}
}

func (s *memoryState) CheckHead(h trust.Head) (trust.Verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pins[h.Publisher]
	if p == nil {
		return trust.HeadUnknown, nil
	}
	if p.root == nil || h.Root > 1 {
		return trust.HeadNeedsRoot, nil
	}
	version, _, err := p.verify(h.Timestamp)
	switch {
	case err != nil:
		return trust.HeadInvalid, err
	case version > p.version:
		return trust.HeadNew, nil
	case version < p.version:
		return trust.HeadOld, nil
	}
	return trust.HeadSame, nil
}

func (s *memoryState) Heads() (heads []trust.Head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for fp, p := range s.pins {
		if p.version > 0 {
			heads = append(heads, trust.Head{Publisher: fp, Root: 1, Timestamp: p.timestamp})
		}
	}
	return heads
}

func (s *memoryState) Publishers() (all []trust.Publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for fp := range s.pins {
		all = append(all, trust.Publisher{Fingerprint: fp})
	}
	return all
}

func (s *memoryState) Have(fp trust.Fingerprint) (h trust.Have) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pins[fp]; p != nil {
		if p.root != nil {
			h.Root = 1
		}
		h.Timestamp, h.Snapshot = p.version, p.version
	}
	return h
}

func (s *memoryState) Update(fp trust.Fingerprint, have trust.Have) (trust.Update, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	p := s.pins[fp]
	if p == nil {
		return trust.Update{}, false, trust.ErrUnknown
	}
	return p.update(fp, have)
}

func (s *memoryState) Apply(fp trust.Fingerprint, u trust.Update) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pins[fp]
	if p == nil {
		return false, trust.ErrUnknown
	}
	next := pinned{root: p.root, timestamp: p.timestamp, version: p.version, roles: maps.Clone(p.roles)}
	if len(u.Roots) > 0 {
		if trust.SumFingerprint(u.Roots[0]) != fp {
			return false, trust.ErrForged
		}
		next.root = u.Roots[0]
	}
	if next.root == nil {
		return false, trust.ErrMismatch
	}
	version, digest, err := next.verify(u.Timestamp)
	switch {
	case err != nil:
		return false, err
	case version == p.version:
		return false, nil
	case version < p.version:
		return false, trust.ErrRollback
	}
	if sum := sha256.Sum256(u.Snapshot); !bytes.Equal(sum[:], digest) {
		return false, trust.ErrMismatch
	}
	for _, r := range u.Roles {
		next.roles[r.Name] = r.Data
	}
	var all index
	if err := json.Unmarshal(u.Snapshot, &all); err != nil {
		return false, trust.ErrMalformed
	}
	for name, entry := range all {
		if sha256.Sum256(next.roles[name]) != entry.Digest {
			return false, trust.ErrMismatch
		}
	}
	next.timestamp, next.version, next.snapshot = u.Timestamp, version, u.Snapshot
	s.pins[fp] = &next
	s.applied++
	return true, nil
}
