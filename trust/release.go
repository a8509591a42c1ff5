package trust

import (
	"fmt"
	"strings"
	"time"

	"github.com/dunlin-mesh/dunlin/manifest"
)

// Release is a manifest that its publisher has signed for.
type Release struct {
	Model   manifest.Model `json:"model"`
	Version string         `json:"version"` // for people; see manifest.ValidateVersion
	// Sequence only grows within a model and says what is newest. A version
	// that is released again (going back) gets a new one.
	Sequence uint64 `json:"sequence"`
	// MinSafeSequence is the model's least safe sequence, the highest ever
	// signed: releases with a lower Sequence are revoked. 0 if there is none.
	MinSafeSequence uint64 `json:"min_safe_sequence"`
	// Manifest names the manifest block (dag-cbor), Size is its length in bytes.
	Manifest  manifest.CID `json:"manifest"`
	Size      uint64       `json:"size"`
	Created   time.Time    `json:"created"` // by the publisher's clock, UTC, whole seconds
	Publisher Fingerprint  `json:"publisher"`
	// Stale says that metadata behind this release has expired by this node's
	// time. It blocks nothing by itself: see Policy.
	Stale bool `json:"stale"`
	// Revoked says that the publisher takes the release back: its sequence is
	// below MinSafeSequence, or its model's delegation was withdrawn. It must
	// not be fetched or activated; a serving one keeps serving until something
	// safe replaces it.
	Revoked bool `json:"revoked"`
}

// rolePrefix keeps the names of models apart from TUF's own roles: a model
// may be called "targets".
const rolePrefix = "m-"

// roleName returns the name of the role that signs for a model's name.
func roleName(model string) string { return rolePrefix + model }

// roleModel returns the model's name (without its publisher) for which the
// role of that name signs.
func roleModel(role string) (string, error) {
	name, ok := strings.CutPrefix(role, rolePrefix)
	if !ok {
		return "", fmt.Errorf("role %.80q does not start with %q", role, rolePrefix)
	}
	if err := manifest.Model("x/" + name).Validate(); err != nil {
		return "", fmt.Errorf("role %.80q: %w", role, err)
	}
	return name, nil
}
