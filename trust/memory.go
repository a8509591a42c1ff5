package trust

import (
	"cmp"
	"fmt"
	"slices"
)

// Bounds of what is remembered of releases that have left the metadata.
const (
	maxRememberedPerModel = 1024
	maxRemembered         = 1 << 16 // of one publisher, about 6 MiB of state
)

// memory is what a registry has ever accepted of one model, so that a version
// names one content for ever and sequences only grow, also after a release has
// left the model's role. Immutable; learn returns a new one.
type memory struct {
	minSafe uint64
	newest  uint64   // highest sequence
	records []record // ascending sequences, one for each version
}

func (m *memory) find(version string) (record, bool) {
	if m == nil {
		return record{}, false
	}
	for _, r := range m.records {
		if r.Version == version {
			return r, true
		}
	}
	return record{}, false
}

// learn returns m with the releases of role, or why they contradict it: a
// conflict wraps ErrEquivocation, going backwards ErrRollback.
func (m *memory) learn(model string, role *modelRole) (*memory, error) {
	if m == nil {
		m = &memory{}
	}
	byVersion := make(map[string]record, len(m.records)+1)
	bySequence := make(map[uint64]record, len(m.records)+1)
	for _, r := range m.records {
		byVersion[r.Version], bySequence[r.Sequence] = r, r
	}
	newest := uint64(0)
	for _, r := range role.releases {
		newest = max(newest, r.Sequence)
		if known, ok := byVersion[r.Version]; ok {
			if known.Manifest != r.Manifest || known.Size != r.Size {
				return nil, fmt.Errorf("model %s: %w: version %s named manifest sha256 %x and now names %x", model, ErrEquivocation, r.Version, known.Manifest, r.Manifest)
			}
			if r.Sequence < known.Sequence {
				return nil, fmt.Errorf("model %s: %w: version %s had sequence %d and now has %d", model, ErrRollback, r.Version, known.Sequence, r.Sequence)
			}
		}
		if known, ok := bySequence[r.Sequence]; ok && known.Version != r.Version {
			return nil, fmt.Errorf("model %s: %w: sequence %d was version %s and now is %s", model, ErrEquivocation, r.Sequence, known.Version, r.Version)
		}
	}
	if newest < m.newest {
		return nil, fmt.Errorf("model %s: %w: newest sequence was %d and now is %d", model, ErrRollback, m.newest, newest)
	}
	if role.minSafe < m.minSafe {
		return nil, fmt.Errorf("model %s: %w: least safe sequence was %d and now is %d", model, ErrRollback, m.minSafe, role.minSafe)
	}
	for _, r := range role.releases {
		byVersion[r.Version] = r
	}
	n := &memory{minSafe: role.minSafe, newest: newest}
	for _, r := range byVersion {
		n.records = append(n.records, r)
	}
	slices.SortFunc(n.records, func(a, b record) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return n, nil
}

// forget bounds the memories of v, which is not shared yet: releases with the
// lowest sequences go first, those that the metadata still lists never.
func forget(v *view) error {
	if len(v.memories) > 2*MaxModels {
		return fmt.Errorf("%w: the publisher has signed for %d models, at most %d are remembered", ErrMalformed, len(v.memories), 2*MaxModels)
	}
	total := 0
	for _, m := range v.memories {
		total += len(m.records)
	}
	limit := maxRememberedPerModel
	if total > maxRemembered {
		limit = maxRemembered / len(v.memories)
	}
	for model, m := range v.memories {
		surplus := len(m.records) - limit
		if surplus <= 0 {
			continue
		}
		listed := make(map[string]bool)
		if role := v.roles[model]; role != nil {
			for _, r := range role.releases {
				listed[r.Version] = true
			}
		}
		trimmed := *m
		trimmed.records = slices.DeleteFunc(slices.Clone(m.records), func(r record) bool {
			drop := surplus > 0 && !listed[r.Version]
			if drop {
				surplus--
			}
			return drop
		})
		v.memories[model] = &trimmed
	}
	return nil
}
