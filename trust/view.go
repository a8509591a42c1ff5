package trust

import (
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// view is everything that is believed of one publisher at one moment, all of
// it verified. It is immutable: advance returns a new one, so that readers
// need no lock and a failed update leaves no trace.
type view struct {
	publisher Fingerprint
	// name is the signed name, or before the root is known the expected one,
	// "" for any.
	name string
	// roots is the chain from version 1 on, root the last of it decoded; nil
	// before it is known.
	roots [][]byte
	root  *rootDoc
	// The following are nil and empty before the first update.
	timestamp *timestampDoc
	snapshot  *snapshotDoc
	targets   *targetsDoc
	roles     map[string]*modelRole // by the model's name, as delegated now
	// memories outlives roles: what each model's versions and sequences meant.
	memories map[string]*memory
	// clock is the latest reading of the node's own clock with which a change
	// was accepted, signed the latest creation time of a release; both at most
	// the expiry of the timestamp, so that a clock which is wrong by years
	// does not spoil the future.
	clock, signed time.Time
	// seat is where a Signer signed last, see Signer.Settle; "" in a Registry.
	seat string
}

// title names the publisher in messages.
func (v *view) title() string {
	if v.name != "" {
		return v.name
	}
	return v.publisher.String()
}

func (v *view) head() (Head, bool) {
	if v.timestamp == nil {
		return Head{}, false
	}
	return Head{Publisher: v.publisher, Root: v.root.version, Timestamp: v.timestamp.data}, true
}

func (v *view) have() Have {
	var h Have
	if v.root != nil {
		h.Root = v.root.version
	}
	if v.timestamp != nil {
		h.Timestamp, h.Snapshot, h.Targets = v.timestamp.version, v.snapshot.version, v.targets.version
		if d := v.targets.meta.Signed.Delegations; d != nil {
			h.Models = int64(len(d.Roles))
		}
	}
	return h
}

// update returns what a node with have lacks, and whether that is anything.
// Roles are chosen by the snapshot with which they came: of thousands of
// models only those travel that changed since the other's snapshot, and the
// documents that name all models travel thin.
func (v *view) update(have Have) (Update, bool, error) {
	if v.timestamp == nil || have.Root > v.root.version {
		return Update{}, false, nil
	}
	sameRoot := have.Root == v.root.version
	if sameRoot && have.Timestamp >= v.timestamp.version {
		return Update{}, false, nil
	}
	// Another root may have reset the versions of timestamp and snapshot, so
	// they say nothing about what the other holds.
	if !sameRoot {
		have = Have{Root: have.Root}
	}
	u := Update{
		Publisher: v.publisher,
		Roots:     slices.Clone(v.roots[have.Root:]),
		Timestamp: v.timestamp.data,
		Roles:     []Role{},
	}
	for _, model := range slices.Sorted(maps.Keys(v.roles)) {
		if role := v.roles[model]; role.since > have.Snapshot {
			u.Roles = append(u.Roles, Role{Name: roleName(model), Data: role.data})
		}
	}
	if have.Targets < v.targets.version {
		u.Targets = v.targets.data
	}
	if have.Snapshot < v.snapshot.version {
		u.Snapshot = v.snapshot.data
	}
	if min(have.Timestamp, have.Snapshot, have.Targets) == 0 {
		return u, true, nil
	}
	u.Thin = true
	var err error
	if len(u.Snapshot) > 0 {
		u.Snapshot, err = v.thinSnapshot(u)
	}
	if len(u.Targets) > 0 && err == nil {
		u.Targets, err = v.thinTargets(have.Models)
	}
	return u, err == nil, err
}

// everything returns all documents, as an update for a node that has nothing.
func (v *view) everything() Update {
	u, _, _ := v.update(Have{}) // nothing to thin out, so no error
	return u
}

// expires returns the earliest expiry of what a release of model rests on;
// model "" is what all releases rest on. Zero before the first update.
func (v *view) expires(model string) time.Time {
	if v.timestamp == nil {
		return time.Time{}
	}
	first := v.root.expires
	for _, t := range []time.Time{v.timestamp.expires, v.snapshot.expires, v.targets.expires} {
		if t.Before(first) {
			first = t
		}
	}
	if role := v.roles[model]; role != nil && role.expires.Before(first) {
		first = role.expires
	}
	return first
}

// release turns a record into what callers see, at reference time now.
func (v *view) release(model string, r record, now time.Time) Release {
	memory := v.memories[model]
	return Release{
		Model:           manifest.Model(v.name + "/" + model),
		Version:         r.Version,
		Sequence:        r.Sequence,
		MinSafeSequence: memory.minSafe,
		Manifest:        manifest.Digest(r.Manifest).CID(manifest.DagCBOR),
		Size:            r.Size,
		Created:         time.Unix(r.Created, 0).UTC(),
		Publisher:       v.publisher,
		Stale:           now.After(v.expires(model)),
		Revoked:         r.Sequence < memory.minSafe || v.roles[model] == nil,
	}
}

// delegationKey returns a text that is equal for two delegations of a role
// exactly if the same keys with the same threshold may sign for it.
func delegationKey(role metadata.DelegatedRole, keys map[string]*metadata.Key) string {
	h := sha256.New()
	ids := slices.Sorted(slices.Values(role.KeyIDs))
	for _, id := range ids {
		h.Write([]byte(id + "\x00" + keys[id].Value.PublicKey + "\x00"))
	}
	h.Write([]byte{byte(role.Threshold)})
	return string(h.Sum(nil))
}
