package trust

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

type (
	rootDoc      = document[metadata.RootType]
	timestampDoc = document[metadata.TimestampType]
	snapshotDoc  = document[metadata.SnapshotType]
	targetsDoc   = document[metadata.TargetsType]
)

// publisherField is the signed field of a root that holds the publisher's
// name. TUF lets repositories add fields.
const publisherField = "x-dunlin-publisher"

// sinceField is the signed field of a model's role that holds the version of
// the first snapshot which named it. So a node that has joined late knows which
// models an older peer lacks. It is a hint: without it, or with a wrong one,
// more travels than must.
const sinceField = "x-dunlin-snapshot"

// The entries of a snapshot and a timestamp are named like files.
const (
	snapshotEntry = metadata.SNAPSHOT + ".json"
	targetsEntry  = metadata.TARGETS + ".json"
)

func decodeRoot(data []byte) (*rootDoc, error) {
	d, err := decodeDocument[metadata.RootType](data, MaxRootBytes, metadata.ROOT)
	if err != nil {
		return nil, err
	}
	s := d.meta.Signed
	fail := func(err error) (*rootDoc, error) { return nil, fmt.Errorf("root %d: %w", d.version, err) }
	if d.version > MaxRoots {
		return fail(fmt.Errorf("%w: at most %d roots", ErrMalformed, MaxRoots))
	}
	if err := manifest.ValidatePublisher(publisherOf(d)); err != nil {
		return fail(fmt.Errorf("%w: field %s: %w", ErrMalformed, publisherField, err))
	}
	if err := checkKeys(s.Keys); err != nil {
		return fail(err)
	}
	if len(s.Roles) != len(metadata.TOP_LEVEL_ROLE_NAMES) {
		return fail(fmt.Errorf("%w: %d roles, want %d", ErrMalformed, len(s.Roles), len(metadata.TOP_LEVEL_ROLE_NAMES)))
	}
	for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
		role := s.Roles[name]
		if role == nil {
			return fail(fmt.Errorf("%w: no role %s", ErrMalformed, name))
		}
		if err := checkRole(name, role.KeyIDs, role.Threshold, s.Keys); err != nil {
			return fail(err)
		}
	}
	return d, nil
}

// publisherOf returns the name inside root; "" if there is none.
func publisherOf(root *rootDoc) string {
	name, _ := root.meta.Signed.UnrecognizedFields[publisherField].(string)
	return name
}

func decodeTimestamp(data []byte) (*timestampDoc, error) {
	d, err := decodeDocument[metadata.TimestampType](data, MaxTimestampBytes, metadata.TIMESTAMP)
	if err != nil {
		return nil, err
	}
	meta := d.meta.Signed.Meta
	if _, err := tufHash(meta[snapshotEntry], snapshotEntry); err != nil || len(meta) != 1 {
		return nil, fmt.Errorf("timestamp %d: %w", d.version, cmp.Or(err, ErrMalformed))
	}
	return d, nil
}

func decodeSnapshot(data []byte) (*snapshotDoc, error) {
	d, err := decodeDocument[metadata.SnapshotType](data, MaxDocumentBytes, metadata.SNAPSHOT)
	if err != nil {
		return nil, err
	}
	if d.meta.Signed.Meta[targetsEntry] == nil {
		return nil, fmt.Errorf("snapshot %d: %w: no entry for %s", d.version, ErrMalformed, targetsEntry)
	}
	for name, m := range d.meta.Signed.Meta {
		if _, err := tufHash(m, name); err != nil {
			return nil, fmt.Errorf("snapshot %d: %w", d.version, err)
		}
	}
	return d, nil
}

// decodeTargets reads the top-level targets, which delegate: one role for each
// model, for the paths "name/*" and nothing else.
func decodeTargets(data []byte) (*targetsDoc, error) {
	d, err := decodeDocument[metadata.TargetsType](data, MaxDocumentBytes, metadata.TARGETS)
	if err != nil {
		return nil, err
	}
	fail := func(format string, args ...any) (*targetsDoc, error) {
		return nil, fmt.Errorf("targets %d: %w: %w", d.version, ErrMalformed, fmt.Errorf(format, args...))
	}
	if len(d.meta.Signed.Targets) != 0 {
		return fail("targets outside of the roles of models")
	}
	delegations := d.meta.Signed.Delegations
	if delegations == nil {
		return d, nil
	}
	if delegations.SuccinctRoles != nil || len(delegations.Roles) > MaxModels {
		return fail("%d delegations (succinct: %t), at most %d allowed", len(delegations.Roles), delegations.SuccinctRoles != nil, MaxModels)
	}
	if err := checkKeys(delegations.Keys); err != nil {
		return fail("%w", err)
	}
	seen := make(map[string]bool, len(delegations.Roles))
	for _, role := range delegations.Roles {
		model, err := roleModel(role.Name)
		if err != nil {
			return fail("%w", err)
		}
		if seen[model] || !slices.Equal(role.Paths, []string{model + "/*"}) || len(role.PathHashPrefixes) != 0 {
			return fail("role %s is repeated or not for exactly the paths %s/*", role.Name, model)
		}
		seen[model] = true
		if err := checkRole(role.Name, role.KeyIDs, role.Threshold, delegations.Keys); err != nil {
			return fail("%w", err)
		}
	}
	return d, nil
}

// record is one release as the registry remembers it.
type record struct {
	Version  string   `cbor:"version"`
	Sequence uint64   `cbor:"sequence"`
	Manifest [32]byte `cbor:"manifest"` // sha256 of the manifest block
	Size     uint64   `cbor:"size"`
	Created  int64    `cbor:"created"` // Unix seconds
}

// custom is the custom field of a release's target.
type custom struct {
	Created  int64  `json:"created"`            // Unix seconds
	MinSafe  uint64 `json:"min_safe,omitempty"` // least safe sequence
	Sequence uint64 `json:"sequence"`
}

// modelRole is what the role of a model says, decoded.
type modelRole struct {
	facts
	releases []record // newest first, at most MaxReleases
	minSafe  uint64
	// since is the version of the snapshot that named these bytes first, by the
	// publisher's word (see sinceField), or else with which this node first saw
	// them: no earlier snapshot is known to name them.
	since int64
	// by says who may sign for the role, see delegationKey.
	by string
}

func decodeModelRole(model string, data []byte) (*modelRole, *targetsDoc, error) {
	d, err := decodeDocument[metadata.TargetsType](data, MaxDocumentBytes, roleName(model))
	if err != nil {
		return nil, nil, err
	}
	fail := func(format string, args ...any) (*modelRole, *targetsDoc, error) {
		return nil, nil, fmt.Errorf("role %s version %d: %w: %w", roleName(model), d.version, ErrMalformed, fmt.Errorf(format, args...))
	}
	if d.meta.Signed.Delegations != nil {
		return fail("delegates further: a newer Dunlin may read it")
	}
	if len(d.meta.Signed.Targets) > MaxReleases {
		return fail("%d releases, at most %d allowed", len(d.meta.Signed.Targets), MaxReleases)
	}
	role := &modelRole{facts: d.facts}
	if since, ok := d.meta.Signed.UnrecognizedFields[sinceField].(float64); ok {
		role.since = int64(since) // an integer within ±MaxVersion, see scanner
	}
	for path, target := range d.meta.Signed.Targets {
		version, ok := strings.CutPrefix(path, model+"/")
		if !ok {
			return fail("target %.200q is not of model %s", path, model)
		}
		if err := manifest.ValidateVersion(version); err != nil {
			return fail("target %.200q: %w", path, err)
		}
		r, minSafe, err := decodeRecord(version, target)
		if err != nil {
			return fail("target %.200q: %w", path, err)
		}
		role.releases = append(role.releases, r)
		role.minSafe = max(role.minSafe, minSafe)
	}
	slices.SortFunc(role.releases, func(a, b record) int { return cmp.Compare(b.Sequence, a.Sequence) })
	for i := range max(len(role.releases), 1) - 1 {
		if role.releases[i].Sequence == role.releases[i+1].Sequence {
			return fail("sequence %d twice", role.releases[i].Sequence)
		}
	}
	return role, d, nil
}

func decodeRecord(version string, target *metadata.TargetFiles) (record, uint64, error) {
	if target == nil || target.Custom == nil || len(target.Hashes) != 1 || len(target.Hashes["sha256"]) != 32 {
		return record{}, 0, fmt.Errorf("want exactly one sha256 and custom fields")
	}
	if target.Length < 1 || target.Length > manifest.MaxBlockBytes {
		return record{}, 0, fmt.Errorf("manifest of %d bytes, want 1 to %d", target.Length, manifest.MaxBlockBytes)
	}
	// Fields that a newer Dunlin adds are ignored, as TUF asks.
	var c custom
	if err := json.Unmarshal(*target.Custom, &c); err != nil {
		return record{}, 0, fmt.Errorf("custom fields: %w", err)
	}
	if c.Sequence < 1 || c.Created < 0 || c.Created > maxUnix {
		return record{}, 0, fmt.Errorf("sequence %d or creation time %d out of range", c.Sequence, c.Created)
	}
	r := record{Version: version, Sequence: c.Sequence, Size: uint64(target.Length), Created: c.Created}
	copy(r.Manifest[:], target.Hashes["sha256"])
	return r, c.MinSafe, nil
}

// maxUnix is the last second of the year 9999, the last that RFC 3339 writes.
var maxUnix = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
