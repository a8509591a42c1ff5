package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// epoch is when all tests begin.
var epoch = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// block returns the CID of an imagined manifest.
func block(text string) manifest.CID { return manifest.SumCID(manifest.DagCBOR, []byte(text)) }

// must is for what only a broken test can get wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newSigner(t testing.TB, name string) *Signer {
	t.Helper()
	s, err := CreatePublisher(t.TempDir(), name, epoch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func sign(t testing.TB, s *Signer, model manifest.Model, version string) Release {
	t.Helper()
	r, err := s.Sign(SignRequest{Model: model, Version: version, Manifest: block(string(model) + version), Size: 700, Now: epoch})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func openRegistry(t testing.TB, dir string, edit func(*Config)) *Registry {
	t.Helper()
	config := Config{Dir: dir, Now: func() time.Time { return epoch }}
	if edit != nil {
		edit(&config)
	}
	r, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func newRegistry(t testing.TB, roots ...[]byte) *Registry {
	t.Helper()
	r := openRegistry(t, t.TempDir(), nil)
	for _, root := range roots {
		if _, err := r.Pin(root); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// source is what a registry or a signer is to a peer that catches up.
type source func(Have) (Update, bool)

func fromRegistry(r *Registry, fp Fingerprint) source {
	return func(h Have) (Update, bool) {
		u, ok, _ := r.Update(fp, h)
		return u, ok
	}
}

// catchUp applies what r lacks, through the wire form.
func catchUp(t testing.TB, r *Registry, fp Fingerprint, from source) bool {
	t.Helper()
	u, ok := from(r.Have(fp))
	if !ok {
		return false
	}
	wire := must(u.Encode())
	u = must(DecodeUpdate(wire))
	changed, err := r.Apply(fp, u)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// repo makes metadata by hand, whatever a publisher with many keys, or a
// forger, might make. Fields are changed at will before each call of update.
type repo struct {
	t    testing.TB
	name string
	// keys by label; roles of the root and their thresholds.
	keys      map[string]ed25519.PrivateKey
	roleKeys  map[string][]string
	threshold map[string]int
	roots     [][]byte
	// versions of "targets", "snapshot", "timestamp" and of models' roles.
	version map[string]int64
	expires time.Time
	models  map[string]*repoModel
	// signWith overrides the labels that sign a role.
	signWith map[string][]string
	docs     map[string][]byte // last made
	// extra are entries of the snapshot that no model stands for any more.
	extra map[string]extraEntry
}

type extraEntry struct {
	data    []byte
	version int64
}

type repoModel struct {
	keys      []string
	threshold int
	releases  map[string]string // version → custom JSON
	content   map[string]string // version → text of the manifest
}

// newRepo makes the repository of acme, with one key for all roles.
func newRepo(t testing.TB) *repo {
	const name = "acme"
	r := &repo{
		t: t, name: name,
		keys:      map[string]ed25519.PrivateKey{},
		roleKeys:  map[string][]string{},
		threshold: map[string]int{},
		version:   map[string]int64{"targets": 1, "snapshot": 1, "timestamp": 1},
		expires:   epoch.Add(FreshLifetime),
		models:    map[string]*repoModel{},
		signWith:  map[string][]string{},
		docs:      map[string][]byte{},
	}
	for _, label := range []string{"a", "b", "c", "d", "e", "m"} {
		seed := sha256.Sum256([]byte(name + label))
		r.keys[label] = ed25519.NewKeyFromSeed(seed[:])
	}
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		r.roleKeys[role], r.threshold[role] = []string{"a"}, 1
	}
	return r
}

func (r *repo) model(name string, keys ...string) *repoModel {
	if len(keys) == 0 {
		keys = []string{"a"}
	}
	m := &repoModel{keys: keys, threshold: 1, releases: map[string]string{}, content: map[string]string{}}
	r.models[name] = m
	r.version[roleName(name)] = 1
	return m
}

func (m *repoModel) release(version string, sequence int, content string) {
	m.releases[version] = fmt.Sprintf(`{"created":%d,"sequence":%d}`, epoch.Unix(), sequence)
	m.content[version] = content
}

func (r *repo) public(label string) *metadata.Key {
	return must(metadata.KeyFromPublicKey(r.keys[label].Public()))
}

// seal signs meta with the labels of role, or those that override them.
func seal[T metadata.Roles](r *repo, role string, meta *metadata.Metadata[T], labels ...string) []byte {
	r.t.Helper()
	if override, ok := r.signWith[role]; ok {
		labels = override
	}
	if len(labels) == 0 {
		return must(meta.ToBytes(false))
	}
	var data []byte
	for _, label := range labels {
		data = must(signDocument(meta, r.keys[label], label))
	}
	r.docs[role] = data
	return data
}

// rotate appends a root of the next version with the present keys, signed by
// labels.
func (r *repo) rotate(labels ...string) []byte {
	root := metadata.Root(epoch.Add(RootLifetime))
	root.Signed.Version = int64(len(r.roots)) + 1
	for role, keys := range r.roleKeys {
		root.Signed.Roles[role] = &metadata.Role{KeyIDs: keys, Threshold: r.threshold[role]}
		for _, label := range keys {
			root.Signed.Keys[label] = r.public(label)
		}
	}
	root.Signed.UnrecognizedFields = map[string]any{publisherField: r.name}
	data := seal(r, "root", root, labels...)
	r.roots = append(r.roots, data)
	return data
}

func (r *repo) fingerprint() Fingerprint { return SumFingerprint(r.roots[0]) }

// update makes all documents as the fields say.
func (r *repo) update() Update {
	r.t.Helper()
	if len(r.roots) == 0 {
		r.rotate(r.roleKeys["root"]...)
	}
	targets := metadata.Targets(r.expires)
	targets.Signed.Version = r.version["targets"]
	snapshot := metadata.Snapshot(r.expires)
	snapshot.Signed.Version = r.version["snapshot"]
	u := Update{Publisher: r.fingerprint(), Roots: r.roots}
	if len(r.models) > 0 {
		targets.Signed.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	}
	for _, model := range slices.Sorted(maps.Keys(r.models)) {
		m := r.models[model]
		for _, label := range m.keys {
			targets.Signed.Delegations.Keys[label] = r.public(label)
		}
		targets.Signed.Delegations.Roles = append(targets.Signed.Delegations.Roles, metadata.DelegatedRole{
			Name: roleName(model), KeyIDs: m.keys, Threshold: m.threshold, Terminating: true, Paths: []string{model + "/*"},
		})
		role := metadata.Targets(r.expires)
		role.Signed.Version = r.version[roleName(model)]
		for version, text := range m.releases {
			raw := json.RawMessage(text)
			digest := block(m.content[version]).Digest()
			role.Signed.Targets[model+"/"+version] = &metadata.TargetFiles{Length: 700, Hashes: metadata.Hashes{"sha256": digest[:]}, Custom: &raw}
		}
		data := seal(r, roleName(model), role, m.keys...)
		u.Roles = append(u.Roles, Role{roleName(model), data})
		name(snapshot.Signed.Meta, roleName(model)+".json", data, role.Signed.Version)
	}
	for entry, e := range r.extra {
		name(snapshot.Signed.Meta, entry, e.data, e.version)
	}
	u.Targets = seal(r, "targets", targets, r.roleKeys["targets"]...)
	name(snapshot.Signed.Meta, targetsEntry, u.Targets, targets.Signed.Version)
	u.Snapshot = seal(r, "snapshot", snapshot, r.roleKeys["snapshot"]...)
	u.Timestamp = r.timestamp(u.Snapshot)
	return u
}

func (r *repo) timestamp(snapshot []byte) []byte {
	timestamp := metadata.Timestamp(r.expires)
	timestamp.Signed.Version = r.version["timestamp"]
	name(timestamp.Signed.Meta, snapshotEntry, snapshot, r.version["snapshot"])
	return seal(r, "timestamp", timestamp, r.roleKeys["timestamp"]...)
}

// bump raises the versions of the named roles, and of snapshot and timestamp.
func (r *repo) bump(roles ...string) {
	for _, role := range append(roles, "snapshot", "timestamp") {
		r.version[role]++
	}
}
