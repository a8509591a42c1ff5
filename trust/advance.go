package trust

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// conflict is an equivocation with its proof. It wraps ErrEquivocation.
type conflict struct {
	role          string
	what          string
	first, second []byte // signed documents; first may be gone
}

func (c *conflict) Error() string { return fmt.Sprintf("%s: %s", c.what, ErrEquivocation) }
func (c *conflict) Unwrap() error { return ErrEquivocation }

// advance verifies u on top of old and returns what is then believed, or old
// itself if u brings nothing. This is the one place where anything becomes
// believed: updates from peers, the node's own state at start, and what a
// Signer has just signed all pass here.
//
// In order, TUF's client workflow (§5.3 to 5.7): the roots climb one by one;
// the timestamp, the snapshot and the targets are checked by
// trustedmetadata against root, against each other and against the versions
// held; the roles of models that changed are checked against their delegation,
// and their releases against what is remembered. Metadata that expired before
// deadline is refused with ErrExpired; a zero deadline accepts any age.
func advance(old *view, u Update, deadline time.Time) (*view, error) {
	if err := u.validate(); err != nil {
		return nil, err
	}
	if u.Publisher != old.publisher {
		return nil, fmt.Errorf("%w: update of publisher %s for %s", ErrMismatch, u.Publisher, old.publisher)
	}
	n, err := climb(old, u.Roots)
	if err != nil {
		return nil, err
	}
	if n.root == nil {
		return nil, fmt.Errorf("%w: the root of %s is not known yet and not in the update", ErrMismatch, old.publisher)
	}
	s := step{old: old, n: n, u: u, deadline: deadline}
	if s.set, err = trustedmetadata.New(n.root.data); err != nil {
		return nil, fmt.Errorf("root %d: %w", n.root.version, translate(err))
	}
	for i, part := range []func() error{s.timestamp, s.fill, s.snapshot, s.targets, s.roles} {
		if err := part(); err != nil {
			if i > 0 && u.partial() && errors.Is(err, ErrMismatch) {
				err = fmt.Errorf("%w: %v", ErrPartial, err) //nolint:errorlint // it is no mismatch any more
			}
			return nil, fmt.Errorf("publisher %s: %w", n.title(), err)
		}
		if n.timestamp == old.timestamp && s.keepsRoot() {
			return old, nil // the timestamp commits to all the rest
		}
	}
	if size := n.everything().Bytes(); size > MaxUpdateBytes-MaxUpdateBytes/16 {
		return nil, fmt.Errorf("publisher %s: %w: %d bytes of metadata", n.title(), ErrMalformed, size)
	}
	return n, nil
}

// step is one run of advance.
type step struct {
	old, n   *view
	u        Update
	deadline time.Time
	set      *trustedmetadata.TrustedMetadata
	// reset says that the timestamp or snapshot that was held is not signed by
	// the keys that the root names now, so its versions bind no more (§5.3.11).
	reset bool
}

// keepsRoot says whether what is held was verified under the root that is in
// force. With thousands of models verifying it again would take most of the
// time of an update.
func (s *step) keepsRoot() bool { return s.n.root == s.old.root }

func (s *step) timestamp() error {
	root := s.n.root.meta
	d, err := decodeTimestamp(s.u.Timestamp)
	if err != nil {
		return err
	}
	if err := vouches(s.n.root, d); err != nil {
		return s.formerRoot(d, err)
	}
	if held := s.old.timestamp; held != nil && root.VerifyDelegate(metadata.TIMESTAMP, held.meta) == nil {
		s.set.RefTime = time.Time{} // the floor may be expired
		if _, err := s.set.UpdateTimestamp(held.data); err != nil {
			return fmt.Errorf("timestamp that is held: %w", translate(err))
		}
		if d.version == held.version {
			if d.payload != held.payload {
				return &conflict{role: metadata.TIMESTAMP, what: fmt.Sprintf("timestamp %d", d.version), first: held.data, second: d.data}
			}
			s.set.RefTime = s.deadline
			return nil
		}
		if d.version < held.version {
			return fmt.Errorf("timestamp %d: %w: %d is held", d.version, ErrRollback, held.version)
		}
	} else {
		s.reset = true
	}
	s.set.RefTime = s.deadline
	if _, err := s.set.UpdateTimestamp(d.data); err != nil {
		return fmt.Errorf("timestamp %d: %w", d.version, rollback(err))
	}
	s.n.timestamp = d
	return nil
}

// formerRoot tells a timestamp that an earlier root of this chain vouches for,
// which an innocent peer may still hold, from a forged one (err).
func (s *step) formerRoot(d *timestampDoc, err error) error {
	const tried = 8 // roots; bounds the work that a forger can cause
	roots := s.n.roots[:len(s.n.roots)-1]
	for _, data := range slices.Backward(roots[max(0, len(roots)-tried):]) {
		root, decodeErr := decodeRoot(data)
		if decodeErr == nil && vouches(root, d) == nil {
			return fmt.Errorf("timestamp %d: %w: signed under root %d, %d is held", d.version, ErrRollback, root.version, s.n.root.version)
		}
	}
	return err
}

func (s *step) snapshot() error {
	entry := s.n.timestamp.meta.Signed.Meta[snapshotEntry]
	held := s.old.snapshot
	data := s.u.Snapshot
	if len(data) == 0 && held != nil {
		data = held.data
	}
	if err := named(entry, data, metadata.SNAPSHOT); err != nil {
		return err
	}
	d, err := decodeSnapshot(data)
	if err != nil {
		return err
	}
	if err := checkSigners("snapshot", d.meta.Signatures, s.n.root.meta.Signed.Roles[metadata.SNAPSHOT].KeyIDs); err != nil {
		return err
	}
	if held != nil && !s.reset && s.keepsRoot() {
		s.set.Snapshot = held.meta // the floor; verified under this very root
	} else if held != nil && !s.reset {
		// Loaded as the floor for all versions in it. That it is not the one
		// which the timestamp names is expected here; that its keys are gone
		// leaves the set without a floor.
		if _, err := s.set.UpdateSnapshot(held.data, true); err != nil && s.set.Snapshot == nil {
			if unsigned := new(metadata.ErrUnsignedMetadata); !errors.As(err, &unsigned) {
				return fmt.Errorf("snapshot that is held: %w", translate(err))
			}
			s.reset = true
		}
	}
	if held != nil && !s.reset && d.version == held.version && d.payload != held.payload && s.n.root.meta.VerifyDelegate(metadata.SNAPSHOT, d.meta) == nil {
		return &conflict{role: metadata.SNAPSHOT, what: fmt.Sprintf("snapshot %d", d.version), first: held.data, second: data}
	}
	if _, err := s.set.UpdateSnapshot(data, false); err != nil {
		if d.version != entry.Version {
			return fmt.Errorf("snapshot %d: %w: the timestamp names version %d", d.version, ErrMismatch, entry.Version)
		}
		return fmt.Errorf("snapshot %d: %w", d.version, rollback(err))
	}
	if held == nil || !bytes.Equal(data, held.data) {
		s.n.snapshot = d
	}
	return nil
}

func (s *step) targets() error {
	entry := s.n.snapshot.meta.Signed.Meta[targetsEntry]
	held := s.old.targets
	data := s.u.Targets
	if len(data) == 0 && held != nil {
		data = held.data
	}
	if err := named(entry, data, metadata.TARGETS); err != nil {
		return err
	}
	if held != nil && s.keepsRoot() && bytes.Equal(data, held.data) && held.version == entry.Version && !held.meta.Signed.IsExpired(s.set.RefTime) {
		s.set.Targets[metadata.TARGETS] = held.meta // these very bytes have been verified under this very root
		return nil
	}
	d, err := decodeTargets(data)
	if err != nil {
		return err
	}
	root := s.n.root.meta
	if err := checkSigners("targets", d.meta.Signatures, root.Signed.Roles[metadata.TARGETS].KeyIDs); err != nil {
		return err
	}
	if _, err := s.set.UpdateTargets(data); err != nil {
		return fmt.Errorf("targets %d: %w", d.version, translate(err))
	}
	if held != nil && d.version == held.version && d.payload != held.payload && root.VerifyDelegate(metadata.TARGETS, held.meta) == nil {
		return &conflict{role: metadata.TARGETS, what: fmt.Sprintf("targets %d", d.version), first: held.data, second: data}
	}
	if held == nil || !bytes.Equal(data, held.data) {
		s.n.targets = d
	}
	return nil
}

// roles checks that there is exactly one document for each delegation, and
// verifies those that changed, or whose delegation did.
func (s *step) roles() error {
	sent := make(map[string][]byte, len(s.u.Roles))
	for _, r := range s.u.Roles {
		sent[r.Name] = r.Data
	}
	s.n.roles = make(map[string]*modelRole)
	s.n.memories = maps.Clone(s.old.memories)
	if s.n.memories == nil {
		s.n.memories = make(map[string]*memory)
	}
	if delegations := s.n.targets.meta.Signed.Delegations; delegations != nil {
		for _, d := range delegations.Roles {
			if err := s.role(d, delegationKey(d, delegations.Keys), sent[d.Name]); err != nil {
				return err
			}
			delete(sent, d.Name)
		}
	}
	for name := range sent {
		return fmt.Errorf("role %s: %w: it is not delegated", name, ErrMismatch)
	}
	return forget(s.n)
}

func (s *step) role(d metadata.DelegatedRole, by string, data []byte) error {
	model, err := roleModel(d.Name)
	if err != nil {
		return asMalformed(err)
	}
	held := s.old.roles[model]
	if len(data) == 0 && held != nil {
		data = held.data
	}
	if err := named(s.n.snapshot.meta.Signed.Meta[d.Name+".json"], data, d.Name); err != nil {
		return err
	}
	same := held != nil && bytes.Equal(data, held.data)
	if same && held.by == by {
		if s.reset {
			again := *held
			again.since = s.n.snapshot.version
			held = &again
		}
		s.n.roles[model] = held
		return nil
	}
	role, doc, err := decodeModelRole(model, data)
	if err != nil {
		return err
	}
	if err := checkSigners("role "+d.Name, doc.meta.Signatures, d.KeyIDs); err != nil {
		return err
	}
	if _, err := s.set.UpdateDelegatedTargets(data, d.Name, metadata.TARGETS); err != nil {
		return fmt.Errorf("role %s version %d: %w", d.Name, role.version, translate(err))
	}
	if held != nil && held.version == role.version && held.payload != role.payload && held.by == by {
		return &conflict{role: d.Name, what: fmt.Sprintf("role %s version %d", d.Name, role.version), first: held.data, second: data}
	}
	learned, err := s.n.memories[model].learn(model, role)
	if errors.Is(err, ErrEquivocation) {
		c := &conflict{role: d.Name, what: err.Error(), second: data}
		if held != nil {
			c.first = held.data
		}
		return c
	}
	if err != nil {
		return err
	}
	s.n.memories[model] = learned
	if role.by = by; role.since < 1 || role.since > s.n.snapshot.version || s.reset && s.old.timestamp != nil {
		role.since = s.n.snapshot.version
	}
	s.n.roles[model] = role
	return nil
}

// named checks that data is the document that entry names, before anything
// is parsed: mixing documents of different updates ends here.
func named(entry *metadata.MetaFiles, data []byte, what string) error {
	if len(data) == 0 {
		return fmt.Errorf("%s: %w: the document is missing", what, ErrMismatch)
	}
	hash, err := tufHash(entry, what)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrMismatch, err)
	}
	if sha256.Sum256(data) != hash {
		return fmt.Errorf("%s: %w: not the document of version %d that is named", what, ErrMismatch, entry.Version)
	}
	return nil
}

// rollback is translate where a wrong version can only be a lower one.
func rollback(err error) error {
	if bad := new(metadata.ErrBadVersionNumber); errors.As(err, &bad) {
		return fmt.Errorf("%w: %w", ErrRollback, err)
	}
	return translate(err)
}

// translate says in our words what go-tuf found.
func translate(err error) error {
	var (
		expired  *metadata.ErrExpiredMetadata
		unsigned *metadata.ErrUnsignedMetadata
		version  *metadata.ErrBadVersionNumber
		hash     *metadata.ErrLengthOrHashMismatch
		broken   *metadata.ErrRepository
	)
	switch {
	case errors.As(err, &expired):
		return fmt.Errorf("%w: %w", ErrExpired, err)
	case errors.As(err, &unsigned):
		return fmt.Errorf("%w: %w", ErrForged, err)
	case errors.As(err, &version), errors.As(err, &hash), errors.As(err, &broken):
		return fmt.Errorf("%w: %w", ErrMismatch, err)
	default:
		return asMalformed(err)
	}
}
