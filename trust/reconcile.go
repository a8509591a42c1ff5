package trust

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Heads returns the newest verified head of every publisher that has one, by
// ascending fingerprint. Two registries with equal heads hold the same
// metadata.
func (r *Registry) Heads() []Head {
	var heads []Head
	for _, v := range r.all() {
		if h, ok := v.head(); ok {
			heads = append(heads, h)
		}
	}
	return heads
}

// Have says how far this node is with the publisher fp; zeros if it is not
// pinned or nothing is known of it.
func (r *Registry) Have(fp Fingerprint) Have {
	v, err := r.view(fp)
	if err != nil {
		return Have{}
	}
	return v.have()
}

// Update returns what a peer with have lacks of the publisher fp, and false if
// that is nothing. Its size follows the models that changed or are new, not
// those that there are. A peer with another root, or with nothing but a root,
// gets everything. The error wraps ErrUnknown or ErrState.
func (r *Registry) Update(fp Fingerprint, have Have) (Update, bool, error) {
	v, err := r.view(fp)
	if err != nil {
		return Update{}, false, err
	}
	return v.update(have)
}

// CheckHead says what h is to this node, at the price of one signature check
// (as many as the timestamp's threshold, and none for the very bytes that are
// held), so that gossip can validate before it forwards. It changes nothing,
// but keeps evidence. With an error the verdict is HeadInvalid; see Hostile
// for whether the sender is to blame.
func (r *Registry) CheckHead(h Head) (Verdict, error) {
	v, err := r.view(h.Publisher)
	if errors.Is(err, ErrUnknown) {
		return HeadUnknown, nil
	}
	if err != nil {
		return HeadInvalid, err
	}
	if err := h.validate(); err != nil {
		return HeadInvalid, err
	}
	if v.root == nil || h.Root > v.root.version {
		return HeadNeedsRoot, nil
	}
	if v.timestamp != nil && bytes.Equal(h.Timestamp, v.timestamp.data) {
		return HeadSame, nil
	}
	verdict, err := v.judge(h, r.config.deadline(r.now(v)))
	if err != nil {
		r.keep(v, err)
		return HeadInvalid, fmt.Errorf("head of %s: %w", v.title(), err)
	}
	return verdict, nil
}

// judge verifies h, which is not of a newer root, against v. Metadata that
// expired before deadline brings nothing new.
func (v *view) judge(h Head, deadline time.Time) (Verdict, error) {
	d, err := decodeTimestamp(h.Timestamp)
	if err != nil {
		return HeadInvalid, err
	}
	root := v.root
	if h.Root < root.version {
		if root, err = decodeRoot(v.roots[h.Root-1]); err != nil {
			return HeadInvalid, err
		}
	}
	if err := vouches(root, d); err != nil {
		return HeadInvalid, err
	}
	if root != v.root && vouches(v.root, d) != nil {
		return HeadOld, nil // its keys have been replaced since
	}
	held := v.timestamp
	if held != nil && v.root.meta.VerifyDelegate(metadata.TIMESTAMP, held.meta) == nil {
		switch {
		case d.version < held.version:
			return HeadOld, nil
		case d.version == held.version && d.payload == held.payload:
			return HeadSame, nil
		case d.version == held.version:
			return HeadInvalid, &conflict{role: metadata.TIMESTAMP, what: fmt.Sprintf("timestamp %d", d.version), first: held.data, second: d.data}
		}
	}
	if d.meta.Signed.IsExpired(deadline) {
		return HeadInvalid, fmt.Errorf("timestamp %d: %w at %s", d.version, ErrExpired, d.expires.Format(time.RFC3339))
	}
	return HeadNew, nil
}

// vouches checks that root names the keys that signed timestamp.
func vouches(root *rootDoc, timestamp *timestampDoc) error {
	if err := checkSigners("timestamp", timestamp.meta.Signatures, root.meta.Signed.Roles[metadata.TIMESTAMP].KeyIDs); err != nil {
		return err
	}
	if err := root.meta.VerifyDelegate(metadata.TIMESTAMP, timestamp.meta); err != nil {
		return fmt.Errorf("timestamp %d: %w", timestamp.version, translate(err))
	}
	return nil
}

// Apply verifies u and makes it what is believed of the publisher fp, durably
// and all at once; changed says whether it brought anything. It is safe to
// apply anything from anybody, in any order and twice.
//
// Errors: ErrMalformed, ErrForged, ErrMismatch (see Hostile), ErrPartial (ask
// for everything), ErrRollback (the peer lags behind), ErrEquivocation (evidence
// is kept), ErrExpired, ErrPinned (a root learned by fingerprint has a name that
// is taken), ErrUnknown, ErrState. After any of them everything is as it was.
func (r *Registry) Apply(fp Fingerprint, u Update) (changed bool, err error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	v, err := r.view(fp)
	if err != nil {
		return false, fmt.Errorf("apply update: %w", err)
	}
	now := r.now(v)
	n, err := advance(v, u.clone(), r.config.deadline(now))
	if err != nil {
		r.keepLocked(v, err)
		return false, fmt.Errorf("apply update: %w", err)
	}
	if n == v {
		return false, nil
	}
	if err := r.nameIsFree(n); err != nil {
		return false, fmt.Errorf("apply update: %w", err)
	}
	n.tick(now)
	// Commit point. A crash before it leaves the old state, after it the new
	// one; both are whole and verified. Should the write fail half-way, memory
	// keeps the old state, which is never ahead of the disk.
	if err := n.save(r.path(fp)); err != nil {
		return false, fmt.Errorf("apply update: %w", err)
	}
	r.publish(n)
	r.config.Logger.Debug("publisher updated", slog.String("publisher", n.title()), slog.Any("root_version", n.root.version), slog.Any("timestamp_version", n.timestamp.version), slog.Int("update_bytes", u.Bytes()))
	return true, nil
}

// tick remembers the time with which v, not yet shared, was accepted.
func (v *view) tick(now time.Time) {
	signed := time.Time{}
	for _, role := range v.roles {
		for _, rel := range role.releases {
			if t := time.Unix(rel.Created, 0).UTC(); t.After(signed) {
				signed = t
			}
		}
	}
	limit := func(t time.Time) time.Time {
		if t.After(v.timestamp.expires) {
			return v.timestamp.expires
		}
		return t
	}
	if t := limit(now); t.After(v.clock) {
		v.clock = t
	}
	if t := limit(signed); t.After(v.signed) {
		v.signed = t
	}
}

// clone copies the documents, so that what is believed cannot be changed by
// whoever owns the buffers of u.
func (u Update) clone() Update {
	roots, roles := make([][]byte, len(u.Roots)), make([]Role, len(u.Roles))
	for i, r := range u.Roots {
		roots[i] = bytes.Clone(r)
	}
	for i, r := range u.Roles {
		roles[i] = Role{Name: r.Name, Data: bytes.Clone(r.Data)}
	}
	u.Roots, u.Roles = roots, roles
	u.Timestamp, u.Snapshot, u.Targets = bytes.Clone(u.Timestamp), bytes.Clone(u.Snapshot), bytes.Clone(u.Targets)
	return u
}
