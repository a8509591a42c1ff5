package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// SignRequest is a release to be signed.
type SignRequest struct {
	// Model must be of the signer's own publisher.
	Model   manifest.Model
	Version string
	// Manifest names the manifest block (dag-cbor), Size is its length in
	// bytes, 1 to manifest.MaxBlockBytes.
	Manifest manifest.CID
	Size     uint64
	// MinSafeSequence revokes all releases of the model with a lower sequence;
	// 0 leaves it as it is. It cannot be lowered, nor exceed this release's
	// own sequence.
	MinSafeSequence uint64
	// Seat names the node that signs, see Signer.Settle; "" if it does not
	// matter.
	Seat string
	// Now is the workstation's clock. Time does not go backwards: an earlier
	// one than was used before counts as that one.
	Now time.Time
}

// Sign signs a release and returns it once everything about it is durable.
//
// The newest release with the same manifest again is no error: it is returned
// as it is. An older version with its own manifest again is how one goes back:
// it gets a new sequence. A known version with another manifest, a lower
// MinSafeSequence, or one beyond the new sequence is ErrConflict. ErrMoved: the
// request comes from another Seat than the last one.
func (s *Signer) Sign(request SignRequest) (Release, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return Release{}, s.failed
	}
	if err := request.validate(s.view.name); err != nil {
		return Release{}, fmt.Errorf("sign %s@%s: %w", request.Model, request.Version, err)
	}
	if s.view.seat != "" && request.Seat != "" && s.view.seat != request.Seat {
		return Release{}, fmt.Errorf("sign %s@%s: %w (%.80s)", request.Model, request.Version, ErrMoved, s.view.seat)
	}
	v, model := s.view, request.Model.Name()
	held := v.memories[model]
	if held == nil {
		held = &memory{}
	}
	known, ok := held.find(request.Version)
	if ok && (known.Manifest != request.Manifest.Digest() || known.Size != request.Size) {
		return Release{}, fmt.Errorf("sign %s@%s: %w: this version names manifest %s for ever; choose another version", request.Model, request.Version, ErrConflict, manifest.Digest(known.Manifest).CID(manifest.DagCBOR))
	}
	if ok && known.Sequence == held.newest && request.MinSafeSequence <= held.minSafe {
		return v.release(model, known, v.signed), nil
	}
	sequence, minSafe := held.newest+1, max(request.MinSafeSequence, held.minSafe)
	if request.MinSafeSequence != 0 && (request.MinSafeSequence < held.minSafe || request.MinSafeSequence > sequence) {
		return Release{}, fmt.Errorf("sign %s@%s: %w: least safe sequence %d, want %d to %d", request.Model, request.Version, ErrConflict, request.MinSafeSequence, held.minSafe, sequence)
	}
	d := draft{key: s.key, view: v, now: s.time(request.Now)}
	if err := d.release(model, record{
		Version: request.Version, Sequence: sequence, Manifest: request.Manifest.Digest(), Size: request.Size, Created: d.now.Unix(),
	}, minSafe); err != nil {
		return Release{}, fmt.Errorf("sign %s@%s: %w", request.Model, request.Version, err)
	}
	n, err := d.publish()
	if err != nil {
		return Release{}, fmt.Errorf("sign %s@%s: %w", request.Model, request.Version, err)
	}
	if request.Seat != "" {
		n.seat = request.Seat
	}
	if err := s.commit(n); err != nil {
		return Release{}, err
	}
	rec, _ := n.memories[model].find(request.Version)
	return n.release(model, rec, d.now), nil
}

// Refresh signs a new snapshot and timestamp, so that nothing shows as stale
// for another FreshLifetime.
func (s *Signer) Refresh(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	d := draft{key: s.key, view: s.view, now: s.time(now)}
	n, err := d.publish()
	if err != nil {
		return fmt.Errorf("refresh %s: %w", s.view.title(), err)
	}
	return s.commit(n)
}

// time returns now in whole seconds, or the latest time used before if that is
// later.
func (s *Signer) time(now time.Time) time.Time {
	now = now.UTC().Truncate(time.Second)
	for _, before := range []time.Time{s.view.signed, s.view.clock} {
		if before.After(now) {
			now = before
		}
	}
	return now
}

func (q SignRequest) validate(publisher string) error {
	if err := q.Model.Validate(); err != nil {
		return err
	}
	if q.Model.Publisher() != publisher {
		return fmt.Errorf("%w: this key signs for %s/… only", ErrConflict, publisher)
	}
	if err := manifest.ValidateVersion(q.Version); err != nil {
		return err
	}
	if q.Manifest.Codec() != manifest.DagCBOR || q.Size < 1 || q.Size > manifest.MaxBlockBytes {
		return fmt.Errorf("%w: manifest %q of %d bytes is no manifest block", ErrMalformed, q.Manifest, q.Size)
	}
	return nil
}

// draft collects changes to view and signs what follows from them.
type draft struct {
	key     ed25519.PrivateKey
	view    *view
	now     time.Time
	targets []byte // new top-level targets, if they change
	roles   []Role // that change
}

// release adds r to the role of model, making the role if there is none.
func (d *draft) release(model string, r record, minSafe uint64) error {
	releases := []record{r}
	if role := d.view.roles[model]; role != nil {
		for _, old := range role.releases {
			if old.Version != r.Version && len(releases) < KeptReleases {
				releases = append(releases, old)
			}
		}
	} else if err := d.delegate(model); err != nil {
		return err
	}
	role := metadata.Targets(d.now.Add(TargetsLifetime))
	role.Signed.Version = d.next(roleName(model) + ".json")
	role.Signed.UnrecognizedFields = map[string]any{sinceField: d.snapshotVersion()}
	for _, r := range releases {
		c := custom{Created: r.Created, Sequence: r.Sequence}
		if r.Sequence == releases[0].Sequence {
			c.MinSafe = minSafe
		}
		raw, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("custom fields: %w", err)
		}
		target := metadata.TargetFile()
		target.Length, target.Custom = int64(r.Size), (*json.RawMessage)(&raw)
		target.Hashes["sha256"] = r.Manifest[:]
		role.Signed.Targets[model+"/"+r.Version] = target
	}
	data, err := signDocument(role, d.key, keyLabel)
	if err != nil {
		return err
	}
	d.roles = []Role{{Name: roleName(model), Data: data}}
	return nil
}

// delegate adds a role for model to the top-level targets.
func (d *draft) delegate(model string) error {
	targets := metadata.Targets(d.now.Add(TargetsLifetime))
	targets.Signed.Delegations = &metadata.Delegations{
		Keys: map[string]*metadata.Key{keyLabel: d.view.root.meta.Signed.Keys[keyLabel]},
	}
	if held := d.view.targets; held != nil {
		targets.Signed.Version = d.next(targetsEntry)
		if held.meta.Signed.Delegations != nil {
			targets.Signed.Delegations.Roles = slices.Clone(held.meta.Signed.Delegations.Roles)
			maps.Copy(targets.Signed.Delegations.Keys, held.meta.Signed.Delegations.Keys)
		}
	}
	if len(targets.Signed.Delegations.Roles) >= MaxModels {
		return fmt.Errorf("%w: a publisher has at most %d models; make another publisher", ErrConflict, MaxModels)
	}
	targets.Signed.Delegations.Roles = append(targets.Signed.Delegations.Roles, metadata.DelegatedRole{
		Name: roleName(model), KeyIDs: []string{keyLabel}, Threshold: 1, Terminating: true, Paths: []string{model + "/*"},
	})
	data, err := signDocument(targets, d.key, keyLabel)
	d.targets = data
	return err
}

// publish signs targets (the first time), snapshot and timestamp, and returns
// what a node that applies all of it will believe: the same code verifies it.
func (d *draft) publish() (*view, error) {
	u := Update{Publisher: d.view.publisher, Targets: d.targets}
	snapshot := metadata.Snapshot(d.now.Add(FreshLifetime))
	timestamp := metadata.Timestamp(d.now.Add(FreshLifetime))
	if d.view.timestamp == nil {
		data, err := signDocument(metadata.Targets(d.now.Add(TargetsLifetime)), d.key, keyLabel)
		if err != nil {
			return nil, err
		}
		u.Targets = data
	} else {
		maps.Copy(snapshot.Signed.Meta, d.view.snapshot.meta.Signed.Meta)
		snapshot.Signed.Version = d.snapshotVersion()
		timestamp.Signed.Version = d.view.timestamp.version + 1
	}
	if len(u.Targets) != 0 {
		name(snapshot.Signed.Meta, targetsEntry, u.Targets, d.next(targetsEntry))
	}
	for _, role := range d.roles {
		u.Roles = append(u.Roles, role)
		name(snapshot.Signed.Meta, role.Name+".json", role.Data, d.next(role.Name+".json"))
	}
	var err error
	if u.Snapshot, err = signDocument(snapshot, d.key, keyLabel); err != nil {
		return nil, err
	}
	name(timestamp.Signed.Meta, snapshotEntry, u.Snapshot, snapshot.Signed.Version)
	if u.Timestamp, err = signDocument(timestamp, d.key, keyLabel); err != nil {
		return nil, err
	}
	n, err := advance(d.view, u, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("what was signed does not verify: %w", err)
	}
	n.tick(d.now)
	return n, nil
}

// snapshotVersion returns the version that the next snapshot gets.
func (d *draft) snapshotVersion() int64 {
	if d.view.snapshot == nil {
		return 1
	}
	return d.view.snapshot.version + 1
}

// next returns the version that the document of that entry gets.
func (d *draft) next(entry string) int64 {
	if d.view.snapshot == nil {
		return 1
	}
	if m := d.view.snapshot.meta.Signed.Meta[entry]; m != nil {
		return m.Version + 1
	}
	return 1
}

// name makes entry of meta name data as version.
func name(meta map[string]*metadata.MetaFiles, entry string, data []byte, version int64) {
	m := metadata.MetaFile(version)
	sum := sha256.Sum256(data)
	m.Hashes["sha256"] = sum[:]
	meta[entry] = m
}
